//! Tests of the tool `task`: runs of subagents.

use runyard_upstream::{Call, Gate, Script, Turn};
use serde_json::{Value, json};

use super::{
    requests::{each, text},
    waiting::last_message,
};
use crate::test_server::{Caller, SseEvent, assert_no_gaps, kinds, on_every_database, on_every_database_with};

/// A model that follows its prompt: a prompt whose lines are tool calls, such as `task {"agent": "Helper", "prompt":
/// "Hold."}`, makes it call these tools at once and then answer with their results. The gate holds the answer to "Hold.".
pub fn obedient(gate: &Gate) -> Script {
    let gate = gate.clone();
    Script::function(move |request| {
        let messages = request.messages();
        let results: Vec<&str> = messages
            .iter()
            .filter(|message| message["role"] == "tool")
            .filter_map(|message| message["content"].as_str())
            .collect();
        let prompt = messages
            .iter()
            .find(|message| message["role"] == "user")
            .and_then(|message| message["content"].as_str())
            .unwrap_or_default();
        match prompt {
            "Hold." => return Turn::text("Held.").held_by(&gate),
            "Fail." => return Turn::status(400).body(r#"{"error": {"message": "no"}}"#),
            "Go on." => {
                let call = Call::new("remember", &json!({"text": format!("Fact {}.", messages.len())}));
                return Turn::calls([call.id(&format!("call_{}", messages.len()))]);
            }
            "Which tools?" => return Turn::text(&request.tool_names().join(", ")),
            _ => {}
        }
        if !results.is_empty() {
            return Turn::text(&results.join(" | "));
        }
        let calls: Vec<Call> = prompt
            .lines()
            .enumerate()
            .filter_map(|(number, line)| {
                let (tool, arguments) = line.split_once(' ')?;
                arguments
                    .starts_with('{')
                    .then(|| Call::raw(tool, arguments).id(&format!("call_{number}")))
            })
            .collect();
        if calls.is_empty() {
            Turn::text(&format!("Done: {prompt}"))
        } else {
            Turn::calls(calls)
        }
    })
}

/// A call of the tool as a line of a prompt.
pub fn task(agent: &str, prompt: &str) -> String {
    format!("task {}", json!({"agent": agent, "prompt": prompt}))
}

pub async fn agent(caller: &Caller, name: &str) -> String {
    agent_with(caller, name, &[]).await
}

/// Creates an agent with rules for approvals.
pub async fn agent_with(caller: &Caller, name: &str, rules: &[Value]) -> String {
    let body = json!({
        "name": name,
        "system_prompt": "You help.",
        "agentpress_tools": {"task": {"enabled": true}},
        "memory": {"enabled": true},
        "approvals": {"rules": rules},
    });
    let made = caller.post("/agents", body).await.ok();
    text(&made, "agent_id").to_owned()
}

pub async fn start(caller: &Caller, agent_id: &str, prompt: &str, more: Value) -> Value {
    let mut body = json!({"prompt": prompt, "agent_id": agent_id});
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    caller.post("/agent/start", body).await.ok()
}

pub async fn children(caller: &Caller, run: &Value) -> Vec<Value> {
    let path = format!("/agent-runs?parent_run_id={}", text(run, "agent_run_id"));
    let mut listed = caller.get(&path).await.ok()["agent_runs"].as_array().unwrap().clone();
    listed.reverse();
    listed
}

fn started(events: &[SseEvent]) -> Vec<&Value> {
    let started = events.iter().filter(|event| event.event == "subagent_started");
    started.map(|event| &event.data["subagent_started"]).collect()
}

/// Reads the events of a run until a number of its subagents have started.
pub async fn until_started(caller: &Caller, run: &Value, count: usize) {
    use futures::StreamExt;
    let path = format!("/agent-run/{}/stream", text(run, "agent_run_id"));
    let mut body = caller.request("GET", &path).send().await.unwrap().bytes_stream();
    let mut seen = String::new();
    while seen.matches("event: subagent_started").count() < count {
        let chunk = body.next().await.expect("the run ended first").unwrap();
        seen.push_str(&String::from_utf8_lossy(&chunk));
    }
}

#[tokio::test]
async fn subagents_work_at_the_same_time_and_their_answers_are_results() {
    on_every_database(obedient, async |server| {
        let caller = server.caller("ann");
        let lead = agent(&caller, "Lead").await;
        let helper = agent(&caller, "Helper").await;
        let prompt = format!("{}\n{}", task("Helper", "First."), task(&helper, "Second."));
        let run = start(&caller, &lead, &prompt, json!({})).await;
        let events = caller.events(&run, 0).await;
        assert_no_gaps(&events, 1);
        assert_eq!(last_message(&events), "Done: First. | Done: Second.");
        let started = started(&events);
        let children = children(&caller, &run).await;
        assert_eq!((started.len(), children.len()), (2, 2), "{events:#?}");
        for (child, number) in children.iter().zip(0..) {
            let event = started
                .iter()
                .find(|event| event["subagent_run_id"] == child["agent_run_id"])
                .unwrap();
            assert_eq!(child["parent_run_id"], run["agent_run_id"]);
            assert_eq!(child["parent_tool_call_id"], event["tool_call_id"]);
            assert_eq!(event["thread_id"], child["thread_id"]);
            assert_eq!(
                (&event["agent_id"], &child["agent_id"]),
                (&json!(helper), &json!(helper))
            );
            assert_eq!(child["project_id"], run["project_id"]);
            assert_eq!(child["status"], "completed", "{number}");
        }
        // The run never waits for callers, and callers do not see the inputs or the threads of subagents.
        let waits = events.iter().any(|event| event.data["status"]["status"] == "waiting");
        assert!(!waits && !kinds(&events).contains(&"input_requested"), "{events:#?}");
        let threads = caller.get("/threads").await.ok();
        assert_eq!(each(&threads, "threads", "thread_id"), [run["thread_id"].clone()]);
        // One stream contains the events of all three runs.
        let path = format!("/agent-run/{}/stream?include_children=true", text(&run, "agent_run_id"));
        let all = caller.request("GET", &path).send().await.unwrap().text().await.unwrap();
        for child in &children {
            assert!(
                all.contains(&format!(
                    r#""agent_run_id":"{}","sequence":1"#,
                    text(child, "agent_run_id")
                )),
                "{all}"
            );
        }
        // Another account sees none of the runs.
        let other = server.caller("bob");
        let path = format!("/agent-runs?parent_run_id={}", text(&run, "agent_run_id"));
        other.get(&path).await.refused(404, "RUN_NOT_FOUND");
    })
    .await;
}

#[tokio::test]
async fn a_stop_of_the_parent_stops_the_subagents() {
    on_every_database(obedient, async |server| {
        let caller = server.caller("ann");
        let lead = agent(&caller, "Lead").await;
        let prompt = format!("{}\n{}", task("Lead", "Hold."), task("Lead", &task("Lead", "Hold.")));
        let run = start(&caller, &lead, &prompt, json!({})).await;
        // Both children and one grandchild call the model.
        server.upstream.wait_for(4).await;
        until_started(&caller, &run, 2).await;
        let shown = caller
            .get(&format!("/agent-run/{}", text(&run, "agent_run_id")))
            .await
            .ok();
        assert_eq!(shown["status"], "running");
        let inputs = caller.get("/inputs").await.ok();
        assert_eq!(inputs["inputs"], json!([]));
        caller
            .post(&format!("/agent-run/{}/stop", text(&run, "agent_run_id")), json!({}))
            .await
            .ok();
        let ended = caller.ended(&run).await;
        assert_eq!(
            (&ended["status"], &ended["stop_reason"]),
            (&json!("stopped"), &json!("requested"))
        );
        for child in children(&caller, &run).await {
            assert_eq!(caller.ended(&child).await["status"], "stopped");
            for grandchild in children(&caller, &child).await {
                assert_eq!(caller.ended(&grandchild).await["status"], "stopped");
            }
        }
        // The thread is free for the next run.
        let next = start(&caller, &lead, "Next.", json!({"thread_id": run["thread_id"]})).await;
        assert_eq!(caller.ended(&next).await["status"], "completed");
        server.gate.open();
    })
    .await;
}

#[tokio::test]
async fn a_failed_or_unknown_subagent_is_an_error_for_the_model() {
    on_every_database(obedient, async |server| {
        let caller = server.caller("ann");
        let lead = agent(&caller, "Lead").await;
        let run = start(&caller, &lead, &task("Lead", "Fail."), json!({})).await;
        let events = caller.events(&run, 0).await;
        let result = events.iter().find(|event| event.event == "tool_result").unwrap();
        assert_eq!(result.data["tool_result"]["is_error"], true);
        assert!(last_message(&events).contains("the subagent failed: "), "{events:#?}");
        let run = start(&caller, &lead, &task("Nobody", "Hello."), json!({})).await;
        let events = caller.events(&run, 0).await;
        assert!(
            last_message(&events).contains("there is no agent \"Nobody\"; the agents are Lead"),
            "{events:#?}"
        );
        assert_eq!(started(&events).len(), 0);
    })
    .await;
}

#[tokio::test]
async fn subagents_of_subagents_have_no_subagents() {
    on_every_database(obedient, async |server| {
        let caller = server.caller("ann");
        let lead = agent(&caller, "Lead").await;
        let tools = async |prompt: &str| {
            let run = start(&caller, &lead, prompt, json!({})).await;
            last_message(&caller.events(&run, 0).await).to_owned()
        };
        let own = "Which tools?";
        let child = task("Lead", own);
        let grandchild = task("Lead", &child);
        let has_task = |tools: &str| tools.split(", ").any(|tool| tool == "task");
        assert!(has_task(&tools(own).await));
        assert!(has_task(&tools(&child).await));
        let of_grandchild = tools(&grandchild).await;
        assert!(
            !of_grandchild.is_empty() && !has_task(&of_grandchild),
            "{of_grandchild}"
        );
        // An agent without the switch has no such tool.
        let plain = caller
            .post("/agents", json!({"name": "Plain", "system_prompt": "Hi."}))
            .await
            .ok();
        let run = start(&caller, text(&plain, "agent_id"), own, json!({})).await;
        assert!(!has_task(last_message(&caller.events(&run, 0).await)));
    })
    .await;
}

#[tokio::test]
async fn a_restart_continues_the_parent_and_its_subagent() {
    on_every_database(obedient, async |server| {
        let caller = server.caller("ann");
        let lead = agent(&caller, "Lead").await;
        let run = start(&caller, &lead, &task("Lead", "Hold."), json!({})).await;
        server.upstream.wait_for(2).await;
        until_started(&caller, &run, 1).await;
        server.restart().await;
        server.gate.open();
        let caller = server.caller("ann");
        let events = caller.events(&run, 0).await;
        assert_no_gaps(&events, 1);
        assert_eq!(last_message(&events), "Held.");
        assert_eq!(started(&events).len(), 1);
        assert_eq!(children(&caller, &run).await.len(), 1);
        assert_eq!(kinds(&events).iter().filter(|kind| **kind == "tool_result").count(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_subagent_works_within_the_budget_of_its_parent() {
    on_every_database(obedient, async |server| {
        let caller = server.caller("ann");
        let lead = agent(&caller, "Lead").await;
        let run = start(&caller, &lead, &task("Lead", "Go on."), json!({"max_steps": 7})).await;
        let ended = caller.ended(&run).await;
        assert_eq!(ended["status"], "completed", "{ended:#?}");
        let events = caller.events(&run, 0).await;
        assert!(last_message(&events).contains("had used its budget"), "{events:#?}");
        let children = children(&caller, &run).await;
        assert_eq!(
            (&children[0]["status"], &children[0]["stop_reason"]),
            (&json!("stopped"), &json!("budget"))
        );
        // The first call of the parent, three of the child, and the last one of the parent.
        assert_eq!(children[0]["usage"]["steps"], 3);
        assert_eq!(ended["usage"]["steps"], 2);
        // A budget that leaves nothing for a child.
        let run = start(&caller, &lead, &task("Lead", "Go on."), json!({"max_steps": 2})).await;
        let events = caller.events(&run, 0).await;
        assert!(
            last_message(&events).contains("too small for a subagent"),
            "{events:#?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_subagent_uses_the_slot_of_its_parent() {
    on_every_database_with(
        obedient,
        |config| config.tiers[0].concurrent_runs = Some(1),
        async |server| {
            let caller = server.caller("ann");
            let lead = agent(&caller, "Lead").await;
            let prompt = format!("{}\n{}", task("Lead", "Hold."), task("Lead", "Second."));
            let run = start(&caller, &lead, &prompt, json!({})).await;
            server.upstream.wait_for(3).await;
            let refused = caller.post("/agent/start", json!({"prompt": "x"})).await;
            refused.refused(402, "AGENT_RUN_LIMIT_EXCEEDED");
            server.gate.open();
            let events = caller.events(&run, 0).await;
            assert_eq!(last_message(&events), "Held. | Done: Second.");
            caller.start("y").await;
        },
    )
    .await;
}
