//! Tests of runs whose request has a JSON schema for the final answer.

use reqwest::multipart::Form;
use runyard::contract::structs;
use runyard_client::v1::{self, run_event::Event};
use runyard_upstream::{Call, Script, Turn};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::requests::text;
use crate::test_server::{Caller, SseEvent, assert_no_gaps, on_every_database, on_every_database_with};

pub const VALID: &str = r#"{"city": "Rome", "people": 2800000}"#;
pub const INVALID: &str = r#"{"city": "Rome", "people": "many"}"#;

pub fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
        "required": ["city", "people"],
        "additionalProperties": false,
    })
}

/// A model that answers with the lines of the prompt: the first answer is the first line, and each repair the next line.
pub fn lines() -> Script {
    Script::function(|request| {
        let messages = request.messages();
        let is_answer = |message: &&Value| message["role"] == "assistant" && message["tool_calls"].is_null();
        let answers = messages.iter().filter(is_answer).count();
        let prompt = messages.iter().find(|message| message["role"] == "user").unwrap();
        let line = prompt["content"]
            .as_str()
            .unwrap()
            .lines()
            .nth(answers)
            .unwrap()
            .to_owned();
        match line.strip_prefix("remember ") {
            Some(fact) if !messages.iter().any(|message| message["role"] == "tool") => {
                Turn::calls([Call::new("remember", &json!({"text": fact}))])
            }
            _ => Turn::text(&line),
        }
    })
}

async fn start(caller: &Caller, prompt: &str) -> Value {
    let body = json!({"prompt": prompt, "output_schema": schema()});
    caller.post("/agent/start", body).await.ok()
}

fn repairs(events: &[SseEvent]) -> Vec<&str> {
    let notices = events
        .iter()
        .filter_map(|event| event.data["notice"]["message"].as_str());
    notices.filter(|message| message.contains("repair")).collect()
}

fn last_status(events: &[SseEvent]) -> &Value {
    &events.last().unwrap().data["status"]
}

#[tokio::test]
async fn a_valid_answer_is_given_as_json_in_the_run_and_the_stream() {
    on_every_database(
        |_| lines(),
        async |server| {
            let caller = server.caller("ann");
            let run = start(&caller, &format!("```json {VALID} ```")).await;
            let events = caller.events(&run, 0).await;
            assert_no_gaps(&events, 1);
            let expected = json!({"city": "Rome", "people": 2_800_000});
            assert_eq!(last_status(&events)["output"], expected);
            assert_eq!(events[0].data["status"].get("output"), None);
            assert_eq!(repairs(&events), [""; 0]);
            let ended = caller.ended(&run).await;
            assert_eq!((&ended["status"], &ended["output"]), (&json!("completed"), &expected));
            let listed = caller.get("/agent-runs").await.ok();
            assert_eq!(listed["agent_runs"][0]["agent_run_id"], run["agent_run_id"]);
            assert_eq!(listed["agent_runs"][0].get("output"), None, "lists omit the output");
            let request = &server.upstream.requests()[0];
            assert!(request.body.to_string().contains("exactly one JSON object"));
            assert_eq!(
                request.body.get("response_format"),
                None,
                "the server is local and the request has tools"
            );

            // A run without a schema has no output.
            let free = caller.start(VALID).await;
            let ended = caller.ended(&free).await;
            assert_eq!((&ended["status"], ended.get("output")), (&json!("completed"), None));
        },
    )
    .await;
}

#[tokio::test]
async fn a_valid_answer_is_given_over_grpc() {
    on_every_database(
        |_| lines(),
        async |server| {
            let caller = server.caller("ann");
            let mut runs = caller.runs().await;
            let request = v1::StartRunRequest {
                prompt: Some(VALID.to_owned()),
                output_schema: structs::object(&schema()),
                mode: "chat".to_owned(),
                ..Default::default()
            };
            let started = runs.start_run(caller.signed(request)).await.unwrap().into_inner();
            let request = v1::StreamRunRequest {
                agent_run_id: started.agent_run_id.clone(),
                ..Default::default()
            };
            let mut stream = runs.stream_run(caller.signed(request)).await.unwrap().into_inner();
            let mut last = None;
            while let Some(event) = stream.message().await.unwrap() {
                last = event.event.or(last);
            }
            let Some(Event::Status(ended)) = last else {
                panic!("{last:?}")
            };
            let expected = json!({"city": "Rome", "people": 2_800_000});
            assert_eq!(ended.output.as_ref().map(structs::to_json), Some(expected.clone()));
            let request = v1::GetRunRequest {
                agent_run_id: started.agent_run_id,
            };
            let run = runs.get_run(caller.signed(request)).await.unwrap().into_inner();
            assert_eq!(run.output.as_ref().map(structs::to_json), Some(expected));
            // A chat has no tools, so the request contains the schema.
            let format = &server.upstream.requests()[0].body["response_format"];
            assert_eq!(format["json_schema"]["schema"], schema());
            assert_eq!(format["json_schema"]["strict"], true);

            let request = v1::StartRunRequest {
                prompt: Some(VALID.to_owned()),
                output_schema: structs::object(&json!({"type": "string"})),
                ..Default::default()
            };
            let refused = runs.start_run(caller.signed(request)).await.unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        },
    )
    .await;
}

#[tokio::test]
async fn an_invalid_answer_is_repaired() {
    on_every_database(
        |_| lines(),
        async |server| {
            let caller = server.caller("ann");
            let prompt = format!("remember Ann lives in Rome.\n{INVALID}\n{VALID}");
            let body = json!({"prompt": prompt, "output_schema": schema(), "memory_enabled": true});
            let run = caller.post("/agent/start", body).await.ok();
            // The first line is a tool call and not an answer, so the model repeats it as its first answer.
            let events = caller.events(&run, 0).await;
            assert_no_gaps(&events, 1);
            let repairs = repairs(&events);
            assert!(
                repairs.len() == 2 && repairs[0].contains("repair 1 of 2") && repairs[1].contains("/people"),
                "{repairs:?}"
            );
            assert_eq!(last_status(&events)["output"]["people"], 2_800_000);
            let ended = caller.ended(&run).await;
            assert_eq!(ended["usage"]["steps"], 4, "each repair is a model call");
            let requests = server.upstream.requests();
            let tools: Vec<bool> = requests.iter().map(|request| request.tool_names().is_empty()).collect();
            assert_eq!(tools, [false, false, true, true]);
            let schemas: Vec<bool> = requests
                .iter()
                .map(|request| request.body.get("response_format").is_some())
                .collect();
            assert_eq!(schemas, [false, false, true, true]);
        },
    )
    .await;
}

#[tokio::test]
async fn a_run_fails_after_two_repairs() {
    on_every_database(
        |_| lines(),
        async |server| {
            let caller = server.caller("ann");
            let run = start(&caller, &format!("Rome.\n{INVALID}\n{{\"city\": 1}}")).await;
            let events = caller.events(&run, 0).await;
            assert_eq!(repairs(&events).len(), 2, "{events:#?}");
            let last = last_status(&events);
            assert_eq!(
                (&last["status"], &last["error_code"]),
                (&json!("failed"), &json!("INVALID_OUTPUT"))
            );
            assert_eq!(last.get("output"), None);
            let ended = caller.ended(&run).await;
            let message = text(&ended["error"], "message");
            assert!(message.contains("/city: 1 is not of type \"string\""), "{message}");
            assert_eq!(server.upstream.count(), 3);
            // The budget of a request also bounds its repairs.
            let body = json!({"prompt": format!("Rome.\n{INVALID}"), "output_schema": schema(), "max_steps": 2});
            let run = caller.post("/agent/start", body).await.ok();
            let ended = caller.ended(&run).await;
            assert_eq!(
                (&ended["status"], &ended["stop_reason"]),
                (&json!("stopped"), &json!("budget"))
            );
        },
    )
    .await;
}

#[tokio::test]
async fn an_invalid_schema_is_refused() {
    on_every_database(
        |_| lines(),
        async |server| {
            let caller = server.caller("ann");
            let large = "x".repeat(70_000);
            for (schema, reason) in [
                (json!({"type": "array"}), "must have the type \"object\""),
                (json!({}), "must have the type \"object\""),
                (json!({"type": "object", "required": 3}), "not a valid JSON schema"),
                (json!({"type": "object", "description": large}), "at most 65536 bytes"),
                (
                    json!({"type": "object", "$ref": "https://example.com/s.json"}),
                    "must begin with \"#\"",
                ),
                (json!({"type": "object", "$ref": "#"}), "refers to itself without end"),
            ] {
                let body = json!({"prompt": VALID, "output_schema": schema});
                let refused = caller.post("/agent/start", body).await.refused(400, "INVALID_REQUEST");
                let refused = refused.to_string().replace("\\\"", "\"");
                assert!(
                    refused.contains(reason) && refused.contains("output_schema"),
                    "{refused}"
                );
            }
            for wrong in [json!("{}"), json!([]), json!(3)] {
                let body = json!({"prompt": VALID, "output_schema": wrong});
                caller.post("/agent/start", body).await.refused(400, "INVALID_REQUEST");
            }
            // The same check protects the schemas of client tools.
            let tool = json!({"name": "look_up", "parameters": {"type": "object", "$ref": "#"}});
            let body = json!({"prompt": VALID, "tools": [tool]});
            caller.post("/agent/start", body).await.refused(400, "INVALID_REQUEST");
            assert_eq!(server.upstream.count(), 0);
            let form = Form::new()
                .text("prompt", VALID)
                .text("output_schema", schema().to_string());
            let run = caller.form("/agent/start", form).await.ok();
            assert_eq!(caller.ended(&run).await["output"]["city"], "Rome");
        },
    )
    .await;
}

#[tokio::test]
async fn a_provider_that_refuses_the_schema_gets_it_only_in_the_prompt() {
    let native = |config: &mut runyard::config::Config| {
        let provider = config.providers.get_mut("default").unwrap();
        provider.capabilities.structured_output = Some(runyard::engine::config::StructuredOutput::Native);
    };
    on_every_database_with(
        |_| {
            Script::function(|request| match request.body.get("response_format") {
                Some(_) => {
                    let error = json!({"error": {"message": "response_format is not supported with tools"}});
                    Turn::status(400).body(&error.to_string())
                }
                None if request.messages().len() < 4 => Turn::text("Rome."),
                None => Turn::text(VALID),
            })
        },
        native,
        async |server| {
            let caller = server.caller("ann");
            let run = start(&caller, "How many?").await;
            let events = caller.events(&run, 0).await;
            assert_eq!(last_status(&events)["output"]["city"], "Rome", "{events:#?}");
            let refusals = events.iter().filter(|event| {
                let message = event.data["notice"]["message"].as_str();
                message.is_some_and(|message| message.contains("response_format is not supported with tools"))
            });
            assert_eq!(refusals.count(), 1);
            let requests = server.upstream.requests();
            let schemas: Vec<bool> = requests
                .iter()
                .map(|request| request.body.get("response_format").is_some())
                .collect();
            assert_eq!(schemas, [true, false, false]);
        },
    )
    .await;
}

/// Removes the end of a run, as if its worker had stopped after it recorded the last answer.
async fn forget_the_end(db: &sea_orm::DatabaseConnection) {
    for sql in [
        "DELETE FROM run_events WHERE sequence = (SELECT MAX(last_sequence) FROM runs)",
        "UPDATE runs SET status = 1, output = NULL, error_code = NULL, error_message = NULL, last_sequence = NULL, \
         finished_at = NULL",
    ] {
        db.execute_unprepared(sql).await.unwrap();
    }
}

#[tokio::test]
async fn a_run_whose_worker_stopped_before_the_end_comes_to_the_same_end() {
    for (prompt, requests) in [
        (format!("{INVALID}\n{VALID}"), 2),
        (format!("Rome.\n{INVALID}\n{INVALID}"), 3),
    ] {
        on_every_database(
            |_| lines(),
            async |server| {
                let caller = server.caller("ann");
                let run = start(&caller, &prompt).await;
                let before = caller.events(&run, 0).await;
                server.stop().await;
                let db = server.outside().await;
                forget_the_end(&db).await;
                db.close().await.unwrap();
                server.restart().await;
                let caller = server.caller("ann");
                let after = caller.events(&run, 0).await;
                assert_no_gaps(&after, 1);
                assert_eq!(last_status(&after), last_status(&before));
                let ended = caller.ended(&run).await;
                let output = last_status(&before).get("output");
                assert_eq!(ended.get("output"), output);
                assert_eq!(server.upstream.count(), requests, "the model is not called again");
            },
        )
        .await;
    }
}
