//! Tests of the slots for concurrent runs. The limit is exact, and every end of a run releases its slot.

use futures::future::join_all;
use runyard_upstream::{Gate, Script, Turn};
use serde_json::{Value, json};

use super::requests::each;
use crate::{
    difference::assert_same_set,
    test_server::{Caller, on_every_database_with},
};

fn held(gate: &Gate) -> Script {
    let gate = gate.clone();
    Script::function(move |_| Turn::text("Held.").held_by(&gate))
}

/// Of 200 concurrent StartRun requests, the server admits exactly as many as the plan has slots. The refusals report
/// correct counts.
async fn l01(limit: i32) {
    on_every_database_with(
        held,
        move |config| {
            config.tiers[0].concurrent_runs = Some(limit);
            config.tiers[0].threads = None;
            config.tiers[0].projects = None;
        },
        async |server| {
            let caller = server.caller("ann");
            let neighbour = server.caller("bob");
            let theirs = neighbour.start("mine").await;
            let answers = join_all((0..200).map(|_| caller.post("/agent/start", json!({"prompt": "x"})))).await;
            let (admitted, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
            assert_eq!(admitted.len(), usize::try_from(limit).unwrap());
            let threads = admitted.into_iter().map(|answer| answer.ok()["thread_id"].clone());
            let threads: Vec<Value> = threads.collect();
            for answer in refused {
                let mut body = answer.refused(402, "AGENT_RUN_LIMIT_EXCEEDED");
                let named = body["detail"]["running_thread_ids"].take();
                let named = named.as_array().unwrap();
                assert_same_set(named, &threads, "threads with an active run");
                assert!(!named.contains(&theirs["thread_id"]));
                let expected = json!({"detail": {
                    "message": format!("Maximum of {limit} concurrent runs. You have {limit} running."),
                    "running_thread_ids": null, "running_count": limit, "limit": limit,
                    "error_code": "AGENT_RUN_LIMIT_EXCEEDED",
                }});
                assert_eq!(body, expected);
            }
            let listed = caller.get("/threads?page_size=200").await.ok();
            assert_eq!(listed["threads"].as_array().unwrap().len(), threads.len());
            let active = caller.get("/agent-runs/active").await.ok();
            assert_same_set(&each(&active, "active_runs", "thread_id"), &threads, "active runs");
            server.gate.open();
        },
    )
    .await;
}

#[tokio::test]
async fn l01_one_of_two_hundred_starts_gets_the_only_slot() {
    l01(1).await;
}

#[tokio::test]
async fn l01_three_of_two_hundred_starts_get_the_three_slots() {
    l01(3).await;
}

#[tokio::test]
async fn l01_ten_of_two_hundred_starts_get_the_ten_slots() {
    l01(10).await;
}

/// Sends two concurrent StartRun requests, and checks that exactly one of them gets the only slot. Returns the
/// started run.
async fn assert_one_slot(caller: &Caller) -> Value {
    let pair = join_all((0..2).map(|_| caller.post("/agent/start", json!({"prompt": "stop"})))).await;
    let admitted: Vec<_> = pair.into_iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(admitted.len(), 1);
    admitted.into_iter().next().unwrap().ok()
}

async fn stop(caller: &Caller, run: &Value) {
    let path = format!("/agent-run/{}/stop", run["agent_run_id"].as_str().unwrap());
    caller.post(&path, json!({})).await.ok();
    caller.ended(run).await;
}

#[tokio::test]
async fn l02_a_slot_is_released_however_its_run_ends() {
    on_every_database_with(
        |gate| {
            let gate = gate.clone();
            Script::function(move |request| match request.last_text() {
                "complete" => Turn::text("Done."),
                "fail" => Turn::status(400).body("no"),
                "hang" => Turn::text("never").silent(),
                _ => Turn::text("Held.").held_by(&gate),
            })
        },
        |config| {
            // The time limit is long enough for a busy machine.
            config.worker.run_timeout_seconds = 4;
            config.tiers[0].concurrent_runs = Some(1);
        },
        async |server| {
            let caller = server.caller("ann");
            for (prompt, status, code) in [
                ("complete", "completed", json!(null)),
                ("fail", "failed", json!("MODEL_REFUSED")),
                ("hang", "failed", json!("RUN_TIMEOUT")),
            ] {
                let run = caller.start(prompt).await;
                let ended = caller.ended(&run).await;
                assert_eq!(
                    (&ended["status"], &ended["error"]["error_code"]),
                    (&json!(status), &code)
                );
                // If exactly one slot is free now, the ended run has released its slot exactly once.
                let next = assert_one_slot(&caller).await;
                stop(&caller, &next).await;
            }
            let last = assert_one_slot(&caller).await;
            stop(&caller, &last).await;
            let active = caller.get("/agent-runs/active").await.ok();
            assert_eq!(active["active_runs"], json!([]));
        },
    )
    .await;
}

#[tokio::test]
async fn l03_a_stop_that_races_with_the_end_leaves_one_terminal_event() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("Quick.")),
        |config| {
            config.tiers[0].concurrent_runs = Some(1);
            config.tiers[0].threads = None;
            config.tiers[0].projects = None;
        },
        async |server| {
            let caller = server.caller("ann");
            for _ in 0..20 {
                let run = caller.start("x").await;
                let path = format!("/agent-run/{}/stop", run["agent_run_id"].as_str().unwrap());
                let answers = join_all((0..3).map(|_| caller.post(&path, json!({})))).await;
                assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
                let events = caller.events(&run, 0).await;
                crate::test_server::assert_no_gaps(&events, 1);
                let ended = caller.ended(&run).await;
                assert_eq!(events.last().unwrap().data["status"]["status"], ended["status"]);
                assert!(["stopped", "completed"].contains(&ended["status"].as_str().unwrap()));
            }
        },
    )
    .await;
}
