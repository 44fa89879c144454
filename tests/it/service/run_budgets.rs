//! Tests of the budget that a request gives its run, and of the reasons of stops.

use runyard_upstream::{Call, Gate, Script, Turn};
use serde_json::{Value, json};

use super::requests::{each, text};
use crate::test_server::{Caller, SseEvent, kinds, on_every_database};

/// A model that stores one fact after another. If the prompt says so, it answers only after the gate has been opened.
fn endless(gate: &Gate) -> Script {
    let gate = gate.clone();
    Script::function(move |request| {
        let number = request.messages().len();
        let call = Call::new("remember", &json!({"text": format!("Fact {number}.")})).id(&format!("call_{number}"));
        let said = json!(request.messages()).to_string();
        if said.contains("Answer.") {
            Turn::text("Yes.").usage(1_000, 10)
        } else if said.contains("Wait.") {
            Turn::text("Waited.").held_by(&gate)
        } else {
            Turn::calls([call]).usage(1_000, 10)
        }
    })
}

async fn start(caller: &Caller, prompt: &str, budget: Value) -> Value {
    let mut body = json!({"prompt": prompt, "memory_enabled": true});
    for (field, value) in budget.as_object().unwrap() {
        body[field] = value.clone();
    }
    caller.post("/agent/start", body).await.ok()
}

/// Checks that a run was stopped for this reason, in its last event and in its resource.
async fn assert_stopped(caller: &Caller, run: &Value, reason: &str) -> Vec<SseEvent> {
    let events = caller.events(run, 0).await;
    let last = &events.last().unwrap().data["status"];
    assert_eq!(
        (&last["status"], &last["stop_reason"]),
        (&json!("stopped"), &json!(reason)),
        "{events:#?}"
    );
    let ended = caller.ended(run).await;
    assert_eq!(
        (&ended["status"], &ended["stop_reason"]),
        (&json!("stopped"), &json!(reason))
    );
    assert_eq!(ended["error"], Value::Null);
    events
}

#[tokio::test]
async fn a_run_stops_after_the_model_calls_of_its_budget_and_keeps_its_work() {
    on_every_database(endless, async |server| {
        let caller = server.caller("ann");
        let run = start(&caller, "Go on.", json!({"max_steps": 3})).await;
        let events = assert_stopped(&caller, &run, "budget").await;
        assert_eq!(kinds(&events).iter().filter(|kind| **kind == "usage").count(), 3);
        assert_eq!(server.upstream.requests().len(), 3);
        let memories = caller.get("/memories").await.ok();
        assert_eq!(each(&memories, "memories", "text").len(), 3);
        let notices = events
            .iter()
            .filter(|event| event.data["notice"]["kind"] == "budget_exhausted");
        assert_eq!(notices.count(), 1, "{events:#?}");
        // A budget that suffices changes nothing.
        let run = start(
            &caller,
            "Answer.",
            json!({"max_steps": 1, "max_seconds": 600, "max_credits": 100.0}),
        )
        .await;
        let ended = caller.ended(&run).await;
        assert_eq!(
            (&ended["status"], &ended["stop_reason"]),
            (&json!("completed"), &Value::Null)
        );
        assert_eq!(
            (&ended["max_steps"], &ended["max_seconds"], &ended["max_credits"]),
            (&json!(1), &json!(600), &json!(100.0))
        );
        let without = start(&caller, "Answer.", json!({})).await;
        assert_eq!(caller.ended(&without).await.get("max_steps"), None);
    })
    .await;
}

#[tokio::test]
async fn a_run_stops_after_the_time_of_its_budget() {
    on_every_database(endless, async |server| {
        let caller = server.caller("ann");
        let run = start(&caller, "Wait.", json!({"max_seconds": 1})).await;
        assert_stopped(&caller, &run, "budget").await;
        server.gate.open();
    })
    .await;
}

#[tokio::test]
async fn a_run_stops_before_it_exceeds_the_credits_of_its_budget() {
    on_every_database(endless, async |server| {
        let caller = server.caller("ann");
        let run = start(&caller, "Go on.", json!({"max_credits": 0.000_001})).await;
        assert_stopped(&caller, &run, "budget").await;
        assert_eq!(server.upstream.requests().len(), 0);
        let free = start(&caller, "Answer.", json!({})).await;
        let cost = caller.ended(&free).await["usage"]["credits"].as_f64().unwrap();
        assert!(cost > 0.0);
        let run = start(&caller, "Go on.", json!({"max_credits": cost * 8.0})).await;
        assert_stopped(&caller, &run, "budget").await;
        let spent = caller.ended(&run).await["usage"]["credits"].as_f64().unwrap();
        assert!(spent > 0.0 && spent <= cost * 8.0, "{spent}");
    })
    .await;
}

#[tokio::test]
async fn stops_have_reasons() {
    on_every_database(endless, async |server| {
        let caller = server.caller("ann");
        let run = start(&caller, "Wait.", json!({})).await;
        let path = format!("/agent-run/{}/stop", text(&run, "agent_run_id"));
        caller.post(&path, json!({})).await.ok();
        assert_stopped(&caller, &run, "requested").await;
        let run = start(&caller, "Wait.", json!({})).await;
        let next = json!({"thread_id": run["thread_id"], "if_busy": "interrupt"});
        let next = start(&caller, "Answer.", next).await;
        assert_stopped(&caller, &run, "interrupted").await;
        let next = caller.ended(&next).await;
        assert_eq!(next["status"], "completed", "{next:#?}");
        server.gate.open();
    })
    .await;
}

#[tokio::test]
async fn an_invalid_budget_is_refused() {
    on_every_database(endless, async |server| {
        let caller = server.caller("ann");
        for wrong in [
            json!({"max_steps": 0}),
            json!({"max_steps": -1}),
            json!({"max_seconds": 0}),
            json!({"max_credits": 0.0}),
            json!({"max_credits": -1.0}),
            json!({"max_credits": 1e12}),
            json!({"max_credits": "NaN"}),
        ] {
            let mut body = wrong.clone();
            body["prompt"] = json!("Answer.");
            let refused = caller.post("/agent/start", body).await;
            refused.refused(400, "INVALID_REQUEST");
        }
        caller
            .ended(&start(&caller, "Answer.", json!({"max_steps": 1})).await)
            .await;
    })
    .await;
}
