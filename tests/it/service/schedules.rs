//! Tests of schedules: due occurrences, overlaps, failures, history and restarts.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};
use futures::future::join_all;
use runyard::{
    config::{Config, Limits},
    server::Server,
};
use runyard_client::v1::{self, schedule_service_client::ScheduleServiceClient};
use runyard_upstream::{Gate, Script, Turn};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::requests::text;
use crate::test_server::{
    Answer, Caller, Database, TEST_TIMEOUT, TestServer, databases, on_every_database, on_every_database_with,
};

pub async fn create(caller: &Caller, more: Value) -> Value {
    let mut body = json!({"name": "Report", "cron": "0 * * * *", "prompt": "go"});
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    caller.post("/schedules", body).await.ok()
}

pub fn path(schedule: &Value) -> String {
    format!("/schedules/{}", text(schedule, "schedule_id"))
}

pub async fn history(caller: &Caller, schedule: &Value) -> Vec<Value> {
    let listed = caller.get(&format!("{}/runs", path(schedule))).await.ok();
    listed["runs"].as_array().unwrap().clone()
}

/// Waits until the newest occurrences have these outcomes, newest first.
pub async fn outcomes(caller: &Caller, schedule: &Value, wanted: &[&str]) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let found = history(caller, schedule).await;
        let names: Vec<&str> = found.iter().map(|one| text(one, "outcome")).collect();
        if names == wanted {
            return found;
        }
        assert!(began.elapsed() < TEST_TIMEOUT, "{found:#?} instead of {wanted:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Moves the clock to a second after the next occurrence of an hourly schedule. Returns the caller with a new token.
/// Tests also call this function before they create a schedule, so that the first occurrence is almost an hour away.
pub fn next_hour(server: &TestServer, name: &str) -> Caller {
    let now = server.clock.now();
    let seconds = 3_600 - now.timestamp().rem_euclid(3_600) + 1;
    server.clock.advance(Duration::from_secs(seconds.unsigned_abs()));
    server.caller(name)
}

pub fn held(gate: &Gate) -> Script {
    let gate = gate.clone();
    Script::function(move |request| match request.last_text() {
        "hold" => Turn::text("Held.").held_by(&gate),
        "fail" => Turn::status(400),
        _ => Turn::text("Done.").usage(10, 1),
    })
}

#[tokio::test]
async fn an_occurrence_starts_one_run_soon() {
    on_every_database(held, async |server| {
        let caller = next_hour(server, "ann");
        let schedule = create(&caller, json!({})).await;
        let times = schedule["next_run_times"].as_array().unwrap().clone();
        assert_eq!(times.len(), 5);
        assert!(history(&caller, &schedule).await.is_empty());
        let mut delays = Vec::new();
        // The machine may be busy at one occurrence, but not at each.
        for number in 1..=times.len() {
            let caller = next_hour(server, "ann");
            let began = Instant::now();
            let started = outcomes(&caller, &schedule, &vec!["started"; number]).await.remove(0);
            delays.push(began.elapsed());
            assert_eq!(started["occurrence"], times[number - 1]);
            let run = caller.ended(&started).await;
            assert_eq!(
                (&run["status"], &run["agent_run_id"]),
                (&json!("completed"), &started["agent_run_id"])
            );
            if number < times.len() {
                let shown = caller.get(&path(&schedule)).await.ok();
                assert_eq!(shown["next_run_times"][0], times[number]);
            }
        }
        assert!(delays.iter().min() < Some(&Duration::from_secs(2)), "{delays:?}");
    })
    .await;
}

#[tokio::test]
async fn only_the_latest_missed_occurrence_is_started() {
    on_every_database(held, async |server| {
        let caller = server.caller("ann");
        let schedule = create(&caller, json!({})).await;
        server.stop().await;
        server.restart().await;
        server.clock.advance(Duration::from_hours(5));
        let caller = server.caller("ann");
        let started = outcomes(&caller, &schedule, &["started"]).await.remove(0);
        let occurrence: DateTime<Utc> = text(&started, "occurrence").parse().unwrap();
        assert!(
            server.clock.now() - occurrence < chrono::TimeDelta::minutes(61),
            "{occurrence}"
        );
    })
    .await;
}

#[tokio::test]
async fn failures_in_a_row_pause_a_schedule_until_it_is_resumed() {
    on_every_database(held, async |server| {
        let caller = next_hour(server, "ann");
        let schedule = create(&caller, json!({"prompt": "fail", "max_failures": 2})).await;
        for count in 1..=2 {
            let caller = next_hour(server, "ann");
            let started = outcomes(&caller, &schedule, &vec!["started"; count]).await;
            assert_eq!(caller.ended(&started[0]).await["status"], "failed");
        }
        let caller = next_hour(server, "ann");
        let skipped = outcomes(&caller, &schedule, &["skipped", "started", "started"]).await;
        assert!(
            text(&skipped[0], "message").contains("last 2 occurrences failed"),
            "{skipped:?}"
        );
        let shown = caller.get(&path(&schedule)).await.ok();
        assert!(
            shown["paused"] == true && shown["next_run_times"] == json!([]),
            "{shown}"
        );
        assert!(text(&shown, "paused_reason").contains("failed"));
        let resumed = caller
            .post(&format!("{}/resume", path(&schedule)), json!({}))
            .await
            .ok();
        assert!(resumed["paused"] == false && resumed["paused_reason"].is_null());
        let caller = next_hour(server, "ann");
        outcomes(&caller, &schedule, &["started", "skipped", "started", "started"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_repeated_request_with_the_same_key_starts_one_run() {
    let unlimited = |config: &mut Config| config.limits = Limits::Off;
    on_every_database_with(
        |_| Turn::text("Done."),
        unlimited,
        async |server| {
            let caller = server.caller("ann");
            let rare = json!({"cron": "0 0 1 1 *"});
            let (schedule, other) = (create(&caller, rare.clone()).await, create(&caller, rare).await);
            let run_now = async |caller: &Caller, schedule: &Value, key: Value| {
                let path = format!("{}/run", path(schedule));
                caller.post(&path, json!({"request_id": key})).await
            };
            let first = run_now(&caller, &schedule, json!("key")).await.ok();
            let keyed = caller
                .request("POST", &format!("{}/run", path(&schedule)))
                .header("idempotency-key", "key");
            let again = Answer::of(keyed.json(&json!({})).send().await.unwrap()).await.ok();
            assert_eq!((&first["outcome"], &again), (&json!("started"), &first));
            let same = join_all((0..4).map(|_| run_now(&caller, &schedule, json!("other")))).await;
            let same: BTreeSet<String> = same
                .into_iter()
                .map(|answer| text(&answer.ok(), "agent_run_id").to_owned())
                .collect();
            assert_eq!(same.len(), 1);
            assert!(!same.contains(text(&first, "agent_run_id")));
            // Without a key, and for another schedule, each request starts a run.
            for (schedule, key) in [(&schedule, ""), (&schedule, ""), (&other, "key")] {
                let run = run_now(&caller, schedule, json!(key)).await.ok();
                assert_ne!(run["agent_run_id"], first["agent_run_id"]);
            }
            assert_eq!(history(&caller, &schedule).await.len(), 4);
            let long = run_now(&caller, &schedule, json!("k".repeat(256))).await;
            long.refused(400, "INVALID_REQUEST");
            // The key has expired a day later.
            server.clock.advance(Duration::from_hours(25));
            let caller = server.caller("ann");
            let next = run_now(&caller, &schedule, json!("key")).await.ok();
            assert_ne!(next["agent_run_id"], first["agent_run_id"]);
        },
    )
    .await;
}

#[tokio::test]
async fn a_refused_start_is_in_the_history() {
    on_every_database(held, async |server| {
        let caller = next_hour(server, "ann");
        let agent = caller.post("/agents", json!({"name": "Soon gone"})).await.ok();
        let schedule = create(&caller, json!({"agent_id": agent["agent_id"]})).await;
        let gone = format!("/agents/{}", text(&agent, "agent_id"));
        Answer::of(caller.request("DELETE", &gone).send().await.unwrap())
            .await
            .ok();
        let refused = caller.post(&format!("{}/run", path(&schedule)), json!({})).await.ok();
        assert_eq!(
            (&refused["outcome"], &refused["error_code"]),
            (&json!("refused"), &json!("AGENT_NOT_FOUND"))
        );
        assert_eq!(refused["manual"], true);
        let caller = next_hour(server, "ann");
        outcomes(&caller, &schedule, &["refused", "refused"]).await;
    })
    .await;
}

#[tokio::test]
async fn schedules_are_changed_paused_listed_and_deleted_over_grpc() {
    on_every_database_with(
        held,
        |config| config.schedules.max_per_account = 1,
        async |server| {
            let caller = server.caller("ann");
            let mut grpc = ScheduleServiceClient::new(caller.channel().await);
            let new = v1::CreateScheduleRequest {
                name: "Morning".to_owned(),
                cron: "0 8 * * MON-FRI".to_owned(),
                time_zone: "Europe/Berlin".to_owned(),
                prompt: "go".to_owned(),
                ..Default::default()
            };
            let made = grpc
                .create_schedule(caller.signed(new.clone()))
                .await
                .unwrap()
                .into_inner();
            assert_eq!((made.next_run_times.len(), made.max_failures), (5, 5));
            let refused = grpc.create_schedule(caller.signed(new)).await.unwrap_err();
            assert!(refused.message().contains("limit of 1 schedules"), "{refused}");
            let schedule_id = made.schedule_id.clone();
            let change = v1::UpdateScheduleRequest {
                schedule_id: schedule_id.clone(),
                cron: Some("0 9 * * *".to_owned()),
                ..Default::default()
            };
            let changed = grpc.update_schedule(caller.signed(change)).await.unwrap().into_inner();
            assert_eq!((changed.cron.as_str(), &changed.name), ("0 9 * * *", &made.name));
            let pause = v1::PauseScheduleRequest {
                schedule_id: schedule_id.clone(),
            };
            let paused = grpc.pause_schedule(caller.signed(pause)).await.unwrap().into_inner();
            assert!(paused.paused && paused.next_run_times.is_empty() && paused.paused_reason.is_none());
            let now = v1::RunScheduleNowRequest {
                schedule_id: schedule_id.clone(),
                request_id: "once".to_owned(),
            };
            let run = grpc
                .run_schedule_now(caller.signed(now.clone()))
                .await
                .unwrap()
                .into_inner();
            assert_eq!(run.outcome(), v1::ScheduleRunOutcome::Started);
            let again = grpc.run_schedule_now(caller.signed(now)).await.unwrap().into_inner();
            assert_eq!(again, run);
            let list = v1::ListScheduleRunsRequest {
                schedule_id: schedule_id.clone(),
                ..Default::default()
            };
            let listed = grpc.list_schedule_runs(caller.signed(list)).await.unwrap().into_inner();
            assert_eq!(listed.runs, [run]);
            let delete = v1::DeleteScheduleRequest { schedule_id };
            grpc.delete_schedule(caller.signed(delete)).await.unwrap();
            let list = v1::ListSchedulesRequest::default();
            let listed = grpc.list_schedules(caller.signed(list)).await.unwrap().into_inner();
            assert!(listed.schedules.is_empty());
        },
    )
    .await;
}

#[tokio::test]
async fn invalid_schedules_are_refused() {
    on_every_database(held, async |server| {
        let caller = server.caller("ann");
        for (field, value) in [
            ("cron", json!("* * * *")),
            ("cron", json!("@hourly")),
            ("time_zone", json!("Nowhere/City")),
            ("name", json!(" ")),
            ("prompt", json!("")),
            ("max_failures", json!(101)),
            ("mode", json!("no such mode")),
        ] {
            let mut body = json!({"name": "x", "cron": "0 * * * *", "prompt": "go"});
            body[field] = value;
            let refused = caller.post("/schedules", body.clone()).await;
            assert_eq!(refused.status, 400, "{body}: {}", refused.text);
        }
        create(&caller, json!({})).await;
    })
    .await;
}

#[tokio::test]
async fn two_servers_start_each_occurrence_once() {
    let database = databases()
        .into_iter()
        .find(|database| matches!(database, Database::Postgres(_)));
    let Some(database) = database else { return };
    let mut server = TestServer::open(&database, held(&Gate::new()), |config| config.limits = Limits::Off).await;
    let second = Server::open(server.config.clone()).await.unwrap();
    let other = second.app().clone();
    let running = tokio::spawn(second.run());
    let next_hour = || {
        let seconds = 3_600 - server.clock.now().timestamp().rem_euclid(3_600) + 1;
        let by = Duration::from_secs(seconds.unsigned_abs());
        server.clock.advance(by);
        other.clock.advance(by);
        server.caller("ann")
    };
    let caller = next_hour();
    let mut schedules = Vec::new();
    for _ in 0..10 {
        schedules.push(create(&caller, json!({})).await);
    }
    for round in 1..=3 {
        let caller = next_hour();
        for schedule in &schedules {
            let started = outcomes(&caller, schedule, &vec!["started"; round]).await;
            for run in &started {
                caller.ended(run).await;
            }
        }
    }
    let caller = server.caller("ann");
    let mut runs = BTreeSet::new();
    for schedule in &schedules {
        for run in history(&caller, schedule).await {
            assert!(runs.insert(text(&run, "agent_run_id").to_owned()));
        }
    }
    assert_eq!(runs.len(), 30);
    assert_eq!(server.number("SELECT COUNT(*) FROM runs").await, 30);
    other.stopping.cancel();
    running.await.unwrap().unwrap();
    server.stop().await;
}
