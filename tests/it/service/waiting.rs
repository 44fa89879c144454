//! Tests of runs that wait for inputs: client tools and questions, their answers, expiry, stops and restarts.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use futures::future::join_all;
use runyard_client::v1::{self, input_service_client::InputServiceClient, run_event::Event};
use runyard_upstream::{Call, Script, Turn};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::requests::{each, text};
use crate::test_server::{
    Caller, SseEvent, TestServer, assert_no_gaps, kinds, on_every_database, on_every_database_with,
};

/// Returns a script for prompts that consist of tool calls, one per line, such as `look_up {"word": "tree"}`. The model
/// makes these calls in one answer, and then answers with their results.
pub fn obedient() -> Script {
    Script::function(|request| {
        let messages = request.messages();
        let results: Vec<&str> = messages
            .iter()
            .rev()
            .take_while(|message| message["role"] == "tool")
            .filter_map(|message| message["content"].as_str())
            .collect();
        if !results.is_empty() {
            let results: Vec<&str> = results.into_iter().rev().collect();
            return Turn::text(&results.join(" | "));
        }
        let prompt = request.last_text().to_owned();
        let calls = prompt.lines().enumerate().filter_map(|(number, line)| {
            let (tool, arguments) = line.split_once(' ')?;
            arguments
                .starts_with('{')
                .then(|| Call::raw(tool, arguments).id(&format!("call_{number}")))
        });
        let calls: Vec<Call> = calls.collect();
        if calls.is_empty() {
            Turn::text("Yes.")
        } else {
            Turn::calls(calls)
        }
    })
}

pub fn look_up() -> Value {
    json!({
        "name": "look_up",
        "description": "Looks up a word.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
    })
}

pub async fn start(caller: &Caller, prompt: &str) -> Value {
    let body = json!({"prompt": prompt, "tools": [look_up()]});
    caller.post("/agent/start", body).await.ok()
}

/// Follows a run until it waits. Returns its pending inputs.
pub async fn waiting(caller: &Caller, run: &Value) -> Vec<Value> {
    waiting_again(caller, run, 1).await
}

/// Follows a run until it waits for the given time, such as the second time. Returns its pending inputs.
pub async fn waiting_again(caller: &Caller, run: &Value, times: usize) -> Vec<Value> {
    let mut left = times;
    let request = v1::StreamRunRequest {
        agent_run_id: text(run, "agent_run_id").to_owned(),
        ..Default::default()
    };
    let mut stream = caller
        .runs()
        .await
        .stream_run(caller.signed(request))
        .await
        .unwrap()
        .into_inner();
    loop {
        let event = stream.message().await.unwrap().expect("the run ended without waiting");
        match event.event {
            Some(Event::Status(changed)) if changed.status() == v1::RunStatus::Waiting => left -= 1,
            _ => {}
        }
        if left == 0 {
            break;
        }
    }
    pending(caller, run).await
}

pub async fn pending(caller: &Caller, run: &Value) -> Vec<Value> {
    let path = format!("/inputs?agent_run_id={}", text(run, "agent_run_id"));
    let listed = caller.get(&path).await.ok();
    listed["inputs"].as_array().unwrap().clone()
}

pub fn answer_path(run: &Value) -> String {
    format!("/agent-run/{}/answer", text(run, "agent_run_id"))
}

fn result(input: &Value, text: &str) -> Value {
    json!({"input_id": input["input_id"], "decision": "result", "text": text})
}

pub async fn answer(caller: &Caller, run: &Value, answers: &[Value]) -> Value {
    caller.post(&answer_path(run), json!({"answers": answers})).await.ok()
}

pub fn last_message(events: &[SseEvent]) -> &str {
    let messages = events.iter().rev().find(|event| event.event == "message");
    messages.unwrap().data["message"]["text"].as_str().unwrap()
}

async fn state(caller: &Caller, run: &Value) -> Value {
    let path = format!("/agent-run/{}", text(run, "agent_run_id"));
    caller.get(&path).await.ok()["status"].clone()
}

#[tokio::test]
async fn a_client_answers_the_call_of_its_tool() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let caller = server.caller("ann");
            let run = start(&caller, r#"look_up {"word": "tree"}"#).await;
            let inputs = waiting(&caller, &run).await;
            assert_eq!(state(&caller, &run).await, "waiting");
            let [input] = inputs.as_slice() else {
                panic!("{inputs:#?}")
            };
            assert_eq!(input["kind"], "client_tool");
            assert_eq!(
                (&input["name"], &input["arguments"]),
                (&json!("look_up"), &json!({"word": "tree"}))
            );
            assert_eq!(input["schema"], look_up()["parameters"]);
            assert_eq!(input["decision"], Value::Null);
            let answered = answer(&caller, &run, &[result(input, "A plant.")]).await;
            assert_eq!(answered["status"], "running");
            assert_eq!(answered["inputs"][0]["decision"], "result");
            let events = caller.events(&run, 0).await;
            assert_no_gaps(&events, 1);
            assert_eq!(last_message(&events), "A plant.");
            let order = [
                "status",
                "message",
                "usage",
                "tool_call",
                "input_requested",
                "status",
                "input_answered",
                "status",
                "tool_result",
                "message_delta",
                "message",
                "usage",
                "status",
            ];
            assert_eq!(kinds(&events), order);
            let statuses: Vec<&Value> = events
                .iter()
                .filter(|event| event.event == "status")
                .map(|event| &event.data["status"]["status"])
                .collect();
            assert_eq!(statuses, ["running", "waiting", "running", "completed"]);
            assert_eq!(state(&caller, &run).await, "completed");
            // A second answer gets the outcome of the first.
            let again = answer(&caller, &run, &[result(input, "An animal.")]).await;
            assert_eq!(
                (&again["status"], &again["inputs"][0]["text"]),
                (&json!("completed"), &json!("A plant."))
            );
            let path = format!("/inputs/{}", text(input, "input_id"));
            assert_eq!(caller.get(&path).await.ok(), again["inputs"][0]);
            assert_eq!(caller.get("/inputs").await.ok()["inputs"], json!([]));
        },
    )
    .await;
}

#[tokio::test]
async fn a_client_answers_over_grpc() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let caller = server.caller("ann");
            let mut runs = caller.runs().await;
            let request = v1::StartRunRequest {
                prompt: Some(r#"look_up {"word": "tree"}"#.to_owned()),
                tools: vec![v1::ClientTool {
                    name: "look_up".to_owned(),
                    description: "Looks up a word.".to_owned(),
                    parameters: None,
                }],
                ..Default::default()
            };
            let started = runs.start_run(caller.signed(request)).await.unwrap().into_inner();
            let run = json!({"agent_run_id": started.agent_run_id});
            waiting(&caller, &run).await;
            let mut inputs = InputServiceClient::new(caller.channel().await);
            let listed = inputs
                .list_pending_inputs(caller.signed(v1::ListPendingInputsRequest::default()))
                .await;
            let listed = listed.unwrap().into_inner().inputs;
            assert_eq!(listed[0].kind(), v1::InputKind::ClientTool);
            let request = v1::AnswerInputRequest {
                agent_run_id: started.agent_run_id.clone(),
                answers: vec![v1::InputAnswer {
                    input_id: listed[0].input_id.clone(),
                    decision: v1::InputDecision::Result.into(),
                    text: "No network.".to_owned(),
                    is_error: true,
                    arguments: None,
                    always: false,
                }],
            };
            let answered = inputs.answer_input(caller.signed(request)).await.unwrap().into_inner();
            assert_eq!(answered.status(), v1::RunStatus::Running);
            let events = caller.events(&run, 0).await;
            let results: Vec<&SseEvent> = events.iter().filter(|event| event.event == "tool_result").collect();
            assert_eq!(results[0].data["tool_result"]["is_error"], true);
            assert_eq!(last_message(&events), "The call failed.\nNo network.");
        },
    )
    .await;
}

#[tokio::test]
async fn a_run_waits_until_all_its_inputs_are_answered() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let caller = server.caller("ann");
            let run = start(&caller, "look_up {\"word\": \"one\"}\nlook_up {\"word\": \"two\"}").await;
            let inputs = waiting(&caller, &run).await;
            assert_eq!(inputs.len(), 2);
            let first = answer(&caller, &run, &[result(&inputs[1], "Two.")]).await;
            assert_eq!(first["status"], "waiting");
            assert_eq!(pending(&caller, &run).await, inputs[..1]);
            let denial = json!({"input_id": inputs[0]["input_id"], "decision": "deny", "text": "too easy"});
            // The second answer of this request keeps its first decision.
            let second = answer(&caller, &run, &[denial, result(&inputs[1], "Three.")]).await;
            assert_eq!(second["status"], "running");
            assert_eq!(second["inputs"][1]["text"], "Two.");
            let events = caller.events(&run, 0).await;
            assert_eq!(
                last_message(&events),
                "The call failed.\nnot run: the client refused this call: too easy | Two."
            );
        },
    )
    .await;
}

#[tokio::test]
async fn calls_before_a_client_tool_run_first_and_later_calls_run_after_its_answer() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let caller = server.caller("ann");
            let prompt = "remember {\"text\": \"One.\"}\nlook_up {\"word\": \"two\"}\nremember {\"text\": \"Three.\"}";
            let body = json!({"prompt": prompt, "tools": [look_up()], "memory_enabled": true});
            let run = caller.post("/agent/start", body).await.ok();
            let inputs = waiting(&caller, &run).await;
            let memories = caller.get("/memories").await.ok();
            assert_eq!(each(&memories, "memories", "text"), ["One."]);
            answer(&caller, &run, &[result(&inputs[0], "Two.")]).await;
            let events = caller.events(&run, 0).await;
            let results: Vec<&Value> = events
                .iter()
                .filter(|event| event.event == "tool_result")
                .map(|event| &event.data["tool_result"]["tool_call_id"])
                .collect();
            assert_eq!(results, ["call_0", "call_1", "call_2"]);
            let memories = caller.get("/memories").await.ok();
            assert_eq!(each(&memories, "memories", "text"), ["Three.", "One."]);
        },
    )
    .await;
}

#[tokio::test]
async fn wrong_answers_change_nothing() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let (caller, other) = (server.caller("ann"), server.caller("bob"));
            let run = start(&caller, r#"look_up {"word": "tree"}"#).await;
            let inputs = waiting(&caller, &run).await;
            let id = &inputs[0]["input_id"];
            let good = result(&inputs[0], "A plant.");
            let unknown = json!({"input_id": uuid::Uuid::now_v7(), "decision": "result"});
            for (answers, status, code) in [
                (json!([]), 400, "INVALID_REQUEST"),
                (json!([good, good]), 400, "INVALID_REQUEST"),
                (json!([{"input_id": id, "decision": "approve"}]), 400, "INVALID_REQUEST"),
                (json!([{"input_id": id, "decision": "answer"}]), 400, "INVALID_REQUEST"),
                (json!([{"input_id": id, "decision": "expired"}]), 400, "INVALID_REQUEST"),
                (json!([{"input_id": id}]), 400, "INVALID_REQUEST"),
                (
                    json!([{"input_id": id, "decision": "result", "arguments": {}}]),
                    400,
                    "INVALID_REQUEST",
                ),
                (
                    json!([{"input_id": id, "decision": "result", "text": "a\u{0}"}]),
                    400,
                    "INVALID_REQUEST",
                ),
                (json!([{"input_id": "x", "decision": "result"}]), 400, "INVALID_REQUEST"),
                (json!([good, unknown]), 404, "INPUT_NOT_FOUND"),
            ] {
                let answer = caller.post(&answer_path(&run), json!({"answers": answers})).await;
                answer.refused(status, code);
                assert_eq!(pending(&caller, &run).await, inputs, "{answers}");
            }
            let foreign = other.post(&answer_path(&run), json!({"answers": [good]})).await;
            foreign.refused(404, "RUN_NOT_FOUND");
            assert_eq!(other.get("/inputs").await.ok()["inputs"], json!([]));
            assert_eq!(pending(&caller, &run).await, inputs);
            answer(&caller, &run, &[good]).await;
            assert_eq!(last_message(&caller.events(&run, 0).await), "A plant.");
        },
    )
    .await;
}

#[tokio::test]
async fn invalid_client_tools_are_refused_at_the_start() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let caller = server.caller("ann");
            let tool = |name: &str| json!({"name": name, "description": "A tool."});
            let many: Vec<Value> = (0..65).map(|number| tool(&format!("tool_{number}"))).collect();
            let with = |parameters: Value| json!({"name": "look_up", "parameters": parameters});
            for (tools, told) in [
                (json!(many), "at most 64 client tools"),
                (json!([tool("a"), tool("a")]), "two tools are named \"a\""),
                (json!([tool("bash")]), "built-in tool"),
                (json!([tool("")]), "1 to 64 letters"),
                (json!([tool("look up")]), "1 to 64 letters"),
                (json!([tool(&"a".repeat(65))]), "1 to 64 letters"),
                (json!([with(json!({"type": "string"}))]), "type \"object\""),
                (
                    json!([with(json!({"type": "object", "properties": 3}))]),
                    "not a valid JSON schema",
                ),
                (
                    json!([with(json!({"type": "object", "title": "x".repeat(65 << 10)}))]),
                    "at most 65536 bytes",
                ),
            ] {
                let refused = caller
                    .post("/agent/start", json!({"prompt": "Hello.", "tools": tools}))
                    .await;
                let body = refused.refused(400, "INVALID_REQUEST");
                assert!(body.to_string().contains(&told.replace('"', "\\\"")), "{told}: {body}");
            }
            let most = json!({"prompt": "Hello.", "tools": many[..64]});
            let run = caller.post("/agent/start", most).await.ok();
            caller.ended(&run).await;
            let names = server.upstream.requests().pop().unwrap();
            assert!(names.tool_names().contains(&"tool_63"));
        },
    )
    .await;
}

#[tokio::test]
async fn a_stop_ends_a_waiting_run_and_cancels_its_inputs() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let caller = server.caller("ann");
            let run = start(&caller, r#"look_up {"word": "tree"}"#).await;
            let inputs = waiting(&caller, &run).await;
            let path = format!("/agent-run/{}/stop", text(&run, "agent_run_id"));
            assert_eq!(caller.post(&path, json!({})).await.ok()["status"], "stopped");
            assert_eq!(pending(&caller, &run).await, [json!(null); 0]);
            let late = answer(&caller, &run, &[result(&inputs[0], "A plant.")]).await;
            assert_eq!(late["status"], "stopped");
            assert_eq!(late["inputs"][0]["decision"], "cancelled");
            let events = caller.events(&run, 0).await;
            assert_no_gaps(&events, 1);
            assert_eq!(events.last().unwrap().data["status"]["status"], "stopped");
            // The thread is free for the next run.
            let next = caller
                .post(
                    "/agent/start",
                    json!({"prompt": "Hello.", "thread_id": run["thread_id"]}),
                )
                .await
                .ok();
            assert_eq!(last_message(&caller.events(&next, 0).await), "Yes.");
        },
    )
    .await;
}

#[tokio::test]
async fn an_input_expires() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let caller = server.caller("ann");
            let run = start(&caller, r#"look_up {"word": "tree"}"#).await;
            let inputs = waiting(&caller, &run).await;
            let times = inputs[0]["created_at"]
                .as_str()
                .zip(inputs[0]["expires_at"].as_str())
                .unwrap();
            let [created, expires] = [times.0, times.1].map(|time| DateTime::parse_from_rfc3339(time).unwrap());
            assert_eq!(expires - created, TimeDelta::days(1));
            // A clock that is a day ahead would also expire the caller's token.
            let sql = "UPDATE inputs SET expires_at = created_at";
            server.outside().await.execute_unprepared(sql).await.unwrap();
            let events = caller.events(&run, 0).await;
            assert_eq!(
                last_message(&events),
                "The call failed.\nno answer arrived in time; continue without it"
            );
            let path = format!("/inputs/{}", text(&inputs[0], "input_id"));
            assert_eq!(caller.get(&path).await.ok()["decision"], "expired");
        },
    )
    .await;
}

#[tokio::test]
async fn waiting_does_not_count_towards_the_time_limit() {
    on_every_database_with(
        |_| obedient(),
        |config| config.tiers[0].run_timeout_seconds = Some(600),
        async |server| {
            let caller = server.caller("ann");
            let run = start(&caller, r#"look_up {"word": "tree"}"#).await;
            let inputs = waiting(&caller, &run).await;
            server.app().clock.advance(Duration::from_mins(40));
            answer(&caller, &run, &[result(&inputs[0], "A plant.")]).await;
            assert_eq!(last_message(&caller.events(&run, 0).await), "A plant.");
        },
    )
    .await;
}

#[tokio::test]
async fn the_tier_says_whether_waiting_runs_count() {
    for counts in [true, false] {
        on_every_database_with(
            |_| obedient(),
            |config| {
                config.tiers[0].concurrent_runs = Some(1);
                config.tiers[0].count_waiting_runs = counts;
            },
            async |server| {
                let caller = server.caller("ann");
                let run = start(&caller, r#"look_up {"word": "tree"}"#).await;
                let inputs = waiting(&caller, &run).await;
                let next = caller.post("/agent/start", json!({"prompt": "Hello."})).await;
                if counts {
                    next.refused(402, "AGENT_RUN_LIMIT_EXCEEDED");
                } else {
                    caller.ended(&next.ok()).await;
                }
                answer(&caller, &run, &[result(&inputs[0], "A plant.")]).await;
                assert_eq!(last_message(&caller.events(&run, 0).await), "A plant.");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_waiting_run_survives_restarts() {
    on_every_database(
        |_| obedient(),
        async |server: &mut TestServer| {
            let run = start(&server.caller("ann"), r#"look_up {"word": "tree"}"#).await;
            let inputs = waiting(&server.caller("ann"), &run).await;
            server.restart().await;
            let caller = server.caller("ann");
            assert_eq!(waiting(&caller, &run).await, inputs);
            answer(&caller, &run, &[result(&inputs[0], "A plant.")]).await;
            let events = caller.events(&run, 0).await;
            assert_no_gaps(&events, 1);
            assert_eq!(last_message(&events), "A plant.");
            assert_eq!(kinds(&events).iter().filter(|kind| **kind == "tool_result").count(), 1);
        },
    )
    .await;
}

#[tokio::test]
async fn concurrent_answers_have_one_outcome() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let caller = server.caller("ann");
            let run = start(&caller, r#"look_up {"word": "tree"}"#).await;
            let inputs = waiting(&caller, &run).await;
            let answers = (0..20).map(|number| {
                let (caller, run, input) = (&caller, &run, &inputs[0]);
                async move { answer(caller, run, &[result(input, &format!("Answer {number}."))]).await }
            });
            let answers = join_all(answers).await;
            let events = caller.events(&run, 0).await;
            let outcome = last_message(&events);
            for answer in answers {
                assert_eq!(answer["inputs"][0]["text"], outcome);
            }
            assert_eq!(
                kinds(&events).iter().filter(|kind| **kind == "input_answered").count(),
                1
            );
            assert_eq!(kinds(&events).iter().filter(|kind| **kind == "tool_result").count(), 1);
        },
    )
    .await;
}

#[tokio::test]
async fn an_agent_asks_the_user_only_if_it_may() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let caller = server.caller("ann");
            let prompt = r#"ask_user {"question": "Which colour?", "choices": ["red", "blue"]}"#;
            let without = caller.post("/agent/start", json!({"prompt": prompt})).await.ok();
            let events = caller.events(&without, 0).await;
            assert!(last_message(&events).contains("there is no tool named"), "{events:#?}");
            let tools = json!({"ask_user": {"enabled": true}});
            let agent = json!({"name": "Asks", "agentpress_tools": tools});
            let agent = caller.post("/agents", agent).await.ok();
            let body = json!({"prompt": prompt, "agent_id": agent["agent_id"], "mode": "chat"});
            let run = caller.post("/agent/start", body).await.ok();
            let inputs = waiting(&caller, &run).await;
            assert_eq!(
                (&inputs[0]["kind"], &inputs[0]["message"]),
                (&json!("question"), &json!("Which colour?"))
            );
            assert_eq!(inputs[0]["arguments"]["choices"], json!(["red", "blue"]));
            let blue = json!({"input_id": inputs[0]["input_id"], "decision": "answer", "text": "blue"});
            answer(&caller, &run, &[blue]).await;
            assert_eq!(last_message(&caller.events(&run, 0).await), "blue");
        },
    )
    .await;
}

#[tokio::test]
async fn waiting_runs_are_listed_as_active_and_by_state() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let caller = server.caller("ann");
            let run = start(&caller, r#"look_up {"word": "tree"}"#).await;
            let inputs = waiting(&caller, &run).await;
            let listed = async |path: &str, list: &str| {
                let listed = caller.get(path).await.ok();
                each(&listed, list, "agent_run_id").len()
            };
            assert_eq!(listed("/agent-runs/active", "active_runs").await, 1);
            assert_eq!(listed("/agent-runs?status=waiting", "agent_runs").await, 1);
            assert_eq!(listed("/agent-runs?status=running", "agent_runs").await, 0);
            answer(&caller, &run, &[result(&inputs[0], "A plant.")]).await;
            caller.ended(&run).await;
            assert_eq!(listed("/agent-runs?status=waiting", "agent_runs").await, 0);
        },
    )
    .await;
}
