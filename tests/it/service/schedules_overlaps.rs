//! Tests of schedules whose earlier run has not ended.

use std::time::Duration;

use chrono::{DateTime, Utc};
use runyard::config::{Config, Limits};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    requests::text,
    schedules::{create, held, next_hour, outcomes},
    waiting::obedient,
};
use crate::test_server::{TEST_TIMEOUT, on_every_database_with};

/// Otherwise the lease and the time limit of a held run would end when a test moves the clock by an hour.
fn long_leases(config: &mut Config) {
    config.limits = Limits::Off;
    config.worker.lease_seconds = 24 * 60 * 60;
    config.worker.run_timeout_seconds = 24 * 60 * 60;
}

#[tokio::test]
async fn overlaps_are_skipped_queued_or_replaced() {
    on_every_database_with(held, long_leases, async |server| {
        let caller = next_hour(server, "ann");
        let mut schedules = Vec::new();
        for overlap in ["skip", "queue", "replace"] {
            schedules.push(create(&caller, json!({"prompt": "hold", "overlap": overlap})).await);
        }
        let caller = next_hour(server, "ann");
        for schedule in &schedules {
            outcomes(&caller, schedule, &["started"]).await;
        }
        let caller = next_hour(server, "ann");
        let skipped = outcomes(&caller, &schedules[0], &["skipped", "started"]).await;
        assert!(text(&skipped[0], "message").contains("has not ended"), "{skipped:?}");
        outcomes(&caller, &schedules[1], &["pending", "started"]).await;
        let replaced = outcomes(&caller, &schedules[2], &["started", "started"]).await;
        assert_eq!(caller.ended(&replaced[1]).await["status"], "stopped");
        server.gate.open();
        server.clock.advance(Duration::from_secs(2));
        let queued = outcomes(&caller, &schedules[1], &["started", "started"]).await;
        for run in queued {
            assert_eq!(caller.ended(&run).await["status"], "completed");
        }
    })
    .await;
}

#[tokio::test]
async fn a_run_that_waits_for_an_input_is_an_earlier_run() {
    on_every_database_with(
        |_| obedient(),
        |config| config.limits = Limits::Off,
        async |server| {
            let caller = next_hour(server, "ann");
            let agent = json!({"name": "Curious", "agentpress_tools": {"ask_user": {"enabled": true}}});
            let agent = caller.post("/agents", agent).await.ok();
            let prompt = r#"ask_user {"question": "Which colour?"}"#;
            let schedule = create(&caller, json!({"prompt": prompt, "agent_id": agent["agent_id"]})).await;
            let caller = next_hour(server, "ann");
            let first = outcomes(&caller, &schedule, &["started"]).await.remove(0);
            let path = format!("/agent-run/{}", text(&first, "agent_run_id"));
            let began = Instant::now();
            while caller.get(&path).await.ok()["status"] != "waiting" {
                assert!(began.elapsed() < TEST_TIMEOUT);
                sleep(Duration::from_millis(10)).await;
            }
            // Skipped occurrences do not hide the run.
            let mut wanted = vec!["started"];
            for _ in 0..12 {
                let caller = next_hour(server, "ann");
                wanted.insert(0, "skipped");
                outcomes(&caller, &schedule, &wanted).await;
            }
            let caller = server.caller("ann");
            let input = caller.get("/inputs").await.ok()["inputs"][0].clone();
            let answer = json!({"answers": [{"input_id": input["input_id"], "decision": "answer", "text": "Blue."}]});
            caller.post(&format!("{path}/answer"), answer).await.ok();
            assert_eq!(caller.ended(&first).await["status"], "completed");
            let caller = next_hour(server, "ann");
            wanted.insert(0, "started");
            outcomes(&caller, &schedule, &wanted).await;
        },
    )
    .await;
}

#[tokio::test]
async fn queued_occurrences_run_one_after_the_other() {
    on_every_database_with(held, long_leases, async |server| {
        let caller = next_hour(server, "ann");
        let schedule = create(&caller, json!({"prompt": "hold", "overlap": "queue"})).await;
        let mut wanted = vec!["started"];
        for _ in 0..3 {
            let caller = next_hour(server, "ann");
            outcomes(&caller, &schedule, &wanted).await;
            wanted.insert(0, "pending");
        }
        server.gate.open();
        let caller = server.caller("ann");
        let mut started = Vec::new();
        for count in 1..=3 {
            let wanted = [vec!["pending"; 3 - count], vec!["started"; count]].concat();
            started = outcomes(&caller, &schedule, &wanted).await;
            caller.ended(&started[3 - count]).await;
            // An old occurrence is checked every 15 seconds.
            server.clock.advance(Duration::from_secs(16));
        }
        let mut later: Option<DateTime<Utc>> = None;
        for run in &started {
            let run = caller.ended(run).await;
            assert_eq!(run["status"], "completed");
            let time = |field| text(&run, field).parse::<DateTime<Utc>>().unwrap();
            assert!(later.is_none_or(|later| time("finished_at") <= later), "{run}");
            later = Some(time("started_at"));
        }
        assert_eq!(started.len(), 3);
    })
    .await;
}
