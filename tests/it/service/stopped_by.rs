//! Tests of who stopped a run, in its resource and in its last event.

use runyard_client::v1::{self, StopReason, run_event::Event};
use runyard_upstream::{Gate, Script, Turn};
use serde_json::{Value, json};

use super::{
    requests::text,
    waiting::{obedient, start, waiting},
};
use crate::test_server::{Caller, TestServer, on_every_database};

/// A model that answers only after the gate has been opened. Stopped runs never get their answer.
fn held(gate: &Gate) -> Script {
    let gate = gate.clone();
    Script::function(move |_| Turn::text("Done.").held_by(&gate))
}

/// Returns a caller with a new API key of the account.
async fn with_key(server: &TestServer, owner: &Caller, name: &str) -> Caller {
    let body = json!({"name": name, "scopes": ["run"]});
    let made = owner.post("/api-keys", body).await.ok();
    let mut caller = server.caller("nobody");
    text(&made, "secret").clone_into(&mut caller.token);
    caller
}

async fn stop(caller: &Caller, run: &Value) {
    let path = format!("/agent-run/{}/stop", text(run, "agent_run_id"));
    caller.post(&path, json!({})).await.ok();
}

/// Checks the run and its last event, over JSON and over gRPC.
async fn assert_stopped(caller: &Caller, run: &Value, reason: StopReason, by: Option<&str>) {
    let short = reason.as_str_name().trim_start_matches("STOP_REASON_").to_lowercase();
    let expected = (json!(short), by.map_or(Value::Null, |by| json!(by)));
    let seen = |value: &Value| (value["stop_reason"].clone(), value["stopped_by"].clone());
    let events = caller.events(run, 0).await;
    assert_eq!(seen(&events.last().unwrap().data["status"]), expected, "{events:#?}");
    assert_eq!(seen(&caller.ended(run).await), expected);
    let agent_run_id = text(run, "agent_run_id").to_owned();
    let mut runs = caller.runs().await;
    let request = v1::GetRunRequest {
        agent_run_id: agent_run_id.clone(),
    };
    let got = runs.get_run(caller.signed(request)).await.unwrap().into_inner();
    assert_eq!((got.stop_reason(), got.stopped_by.as_deref()), (reason, by));
    let request = v1::StreamRunRequest {
        agent_run_id,
        ..Default::default()
    };
    let mut stream = runs.stream_run(caller.signed(request)).await.unwrap().into_inner();
    let mut last = None;
    while let Some(event) = stream.message().await.unwrap() {
        last = event.event;
    }
    let Some(Event::Status(last)) = last else {
        panic!("the last event is no status: {last:?}");
    };
    assert_eq!((last.stop_reason(), last.stopped_by.as_deref()), (reason, by));
}

#[tokio::test]
async fn a_stopped_run_names_the_caller_that_stopped_it() {
    on_every_database(held, async |server| {
        let ann = server.caller("ann");
        let key = with_key(server, &ann, "deploy").await;
        for (number, (caller, name)) in [(&ann, "ann"), (&key, "api_key:deploy")].into_iter().enumerate() {
            let run = ann.start("x").await;
            server.upstream.wait_for(number + 1).await;
            let path = format!("/agent-run/{}", text(&run, "agent_run_id"));
            assert_eq!(ann.get(&path).await.ok()["stopped_by"], Value::Null);
            stop(caller, &run).await;
            assert_stopped(&ann, &run, StopReason::Requested, Some(name)).await;
            // A later request changes nothing.
            stop(&ann, &run).await;
            assert_stopped(&ann, &run, StopReason::Requested, Some(name)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_interrupted_run_names_the_caller_of_the_later_start() {
    on_every_database(held, async |server| {
        let ann = server.caller("ann");
        let key = with_key(server, &ann, "deploy").await;
        let run = ann.start("x").await;
        server.upstream.wait_for(1).await;
        let later = json!({"prompt": "y", "thread_id": run["thread_id"], "if_busy": "interrupt"});
        let later = key.post("/agent/start", later).await.ok();
        assert_stopped(&ann, &run, StopReason::Interrupted, Some("api_key:deploy")).await;
        server.gate.open();
        let ended = ann.ended(&later).await;
        assert_eq!(
            (&ended["status"], &ended["stopped_by"]),
            (&json!("completed"), &Value::Null)
        );
    })
    .await;
}

#[tokio::test]
async fn a_waiting_run_names_the_caller_that_stopped_it() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let ann = server.caller("ann");
            let run = start(&ann, r#"look_up {"word": "tree"}"#).await;
            waiting(&ann, &run).await;
            stop(&ann, &run).await;
            assert_stopped(&ann, &run, StopReason::Requested, Some("ann")).await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_run_that_used_its_budget_was_stopped_by_no_caller() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let ann = server.caller("ann");
            let body = json!({"prompt": "remember {\"text\": \"x\"}", "memory_enabled": true, "max_steps": 1});
            let run = ann.post("/agent/start", body).await.ok();
            assert_stopped(&ann, &run, StopReason::Budget, None).await;
        },
    )
    .await;
}
