//! Tests of `StopRun`: a run has one terminal event, no matter when the request arrives.

use runyard_upstream::{Call, Turn};
use serde_json::json;

use crate::{
    difference::assert_same_list,
    test_server::{assert_no_gaps, on_every_database},
};

#[tokio::test]
async fn a_stop_interrupts_the_stream_of_the_model() {
    on_every_database(
        |gate| Turn::words(10).gate_after(5, gate),
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            server.upstream.wait_for(1).await;
            let path = format!("/agent-run/{}/stop", run["agent_run_id"].as_str().unwrap());
            let stopped = caller.post(&path, json!({})).await.ok();
            assert_eq!(stopped["stop_requested"], true);
            let events = caller.events(&run, 0).await;
            assert_no_gaps(&events, 1);
            assert_eq!(events.last().unwrap().data["status"]["status"], "stopped");
            assert_eq!(caller.post(&path, json!({})).await.ok()["status"], "stopped");
            assert_same_list(&caller.events(&run, 0).await, &events, "events after a second stop");
            server.gate.open();
            caller.start("y").await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_stop_kills_a_running_command() {
    on_every_database(
        |_| Turn::calls([Call::new("bash", &json!({"command": "echo begun; sleep 600"}))]),
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            let path = format!("/agent-run/{}/stream", run["agent_run_id"].as_str().unwrap());
            let mut stream = caller.request("GET", &path).send().await.unwrap();
            let mut seen = String::new();
            while !seen.contains("event: tool_output") {
                let piece = stream.chunk().await.unwrap().unwrap();
                seen.push_str(std::str::from_utf8(&piece).unwrap());
            }
            let path = format!("/agent-run/{}/stop", run["agent_run_id"].as_str().unwrap());
            caller.post(&path, json!({})).await.ok();
            let events = caller.events(&run, 0).await;
            assert_no_gaps(&events, 1);
            assert_eq!(events.last().unwrap().data["status"]["status"], "stopped");
        },
    )
    .await;
}

#[tokio::test]
async fn a_queued_run_stops_at_once() {
    crate::test_server::on_every_database_with(
        |gate| Turn::text("First.").held_by(gate),
        |config| config.tiers[0].concurrent_runs = Some(3),
        async |server| {
            let caller = server.caller("ann");
            let first = caller.start("x").await;
            server.upstream.wait_for(1).await;
            let body = json!({"prompt": "y", "thread_id": first["thread_id"]});
            let second = caller.post("/agent/start", body.clone()).await.ok();
            let mut refused = body.clone();
            refused["if_busy"] = json!("reject");
            caller.post("/agent/start", refused).await.refused(409, "THREAD_BUSY");
            let path = format!("/agent-run/{}/stop", second["agent_run_id"].as_str().unwrap());
            assert_eq!(caller.post(&path, json!({})).await.ok()["status"], "stopped");
            assert_no_gaps(&caller.events(&second, 0).await, 1);
            assert_eq!(server.upstream.count(), 1);
            server.gate.open();
            assert_eq!(caller.ended(&first).await["status"], "completed");
        },
    )
    .await;
}
