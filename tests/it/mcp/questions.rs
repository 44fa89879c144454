//! Tests of questions that a server asks in the middle of a call (elicitation). The run waits for the answers.

mod continued;

use std::sync::Arc;

use runyard_client::v1::{self, input_service_client::InputServiceClient};
use runyard_mcp::MAX_ROUNDS;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tonic::Code;

use super::{
    asking::AskingServer,
    calls, http, notices, permit_loopback,
    raw::{RawServer, Reaction},
    result, run_with,
};
use crate::{
    service::{
        requests::text,
        waiting::{answer, answer_path, pending, waiting, waiting_again},
    },
    test_server::{Caller, SseEvent, TestServer, assert_no_gaps, on_every_database_with},
};

fn day() -> Value {
    json!({
        "type": "object",
        "properties": {"day": {"type": "string", "minLength": 3}, "seats": {"type": "integer", "minimum": 1}},
        "required": ["day"]
    })
}

fn question(message: &str, schema: &Value) -> Value {
    let params = json!({"mode": "form", "message": message, "requestedSchema": schema});
    json!({"method": "elicitation/create", "params": params})
}

fn required(requests: &Value, state: Option<&str>) -> Value {
    let mut required = json!({"resultType": "input_required"});
    if requests.as_object().is_some_and(|requests| !requests.is_empty()) {
        required["inputRequests"] = requests.clone();
    }
    if let Some(state) = state {
        required["requestState"] = json!(state);
    }
    required
}

/// Asks for the day and a confirmation, and then returns what it received.
fn two_questions(call: &Value) -> Value {
    if call["requestState"].is_null() {
        let confirmed = json!({"type": "object", "properties": {}});
        let requests = json!({"day": question("Which day?", &day()), "sure": question("Are you sure?", &confirmed)});
        return required(&requests, Some("the state of the server"));
    }
    json!({"content": [{"type": "text", "text": format!("booked {} {}", call["arguments"], call["inputResponses"])}]})
}

/// Starts a run whose model calls the tool, and whose agent has these approvals.
async fn started(caller: &Caller, remote: &AskingServer, approvals: &Value) -> Value {
    let agent = json!({"name": "An agent", "custom_mcps": [http("box", &remote.url)], "approvals": approvals});
    let agent = caller.post("/agents", agent).await.ok();
    let body = json!({"prompt": "Use the tool.", "agent_id": agent["agent_id"]});
    caller.post("/agent/start", body).await.ok()
}

async fn completed(caller: &Caller, run: &Value) -> Vec<SseEvent> {
    let events = caller.events(run, 0).await;
    assert_no_gaps(&events, 1);
    assert_eq!(
        events.last().unwrap().data["status"]["status"],
        "completed",
        "{events:#?}"
    );
    events
}

fn by_message<'a>(inputs: &'a [Value], message: &str) -> &'a Value {
    inputs.iter().find(|input| input["message"] == message).unwrap()
}

fn accept(input: &Value, values: &Value) -> Value {
    json!({"input_id": input["input_id"], "decision": "answer", "arguments": values})
}

fn decide(input: &Value, decision: &str) -> Value {
    json!({"input_id": input["input_id"], "decision": decision})
}

async fn on_servers(test: impl AsyncFn(&mut TestServer)) {
    let script = |_: &_| calls("box__book", json!({"city": "Rome"}));
    on_every_database_with(script, permit_loopback, test).await;
}

#[tokio::test]
async fn a_run_waits_for_the_questions_of_a_server_and_continues_the_call_with_the_answers() {
    on_servers(async |server| {
        let remote = AskingServer::start(two_questions).await;
        let caller = server.caller("ann");
        let run = started(&caller, &remote, &json!({})).await;
        let inputs = waiting(&caller, &run).await;
        assert_eq!(inputs.len(), 2, "{inputs:#?}");
        let (asked, sure) = (by_message(&inputs, "Which day?"), by_message(&inputs, "Are you sure?"));
        assert_eq!(
            (&asked["kind"], &asked["name"], &asked["arguments"], &asked["schema"]),
            (
                &json!("question"),
                &json!("box__book"),
                &json!({"city": "Rome"}),
                &day()
            )
        );
        let values = json!({"day": "Monday", "seats": 2});
        let answered = answer(&caller, &run, &[accept(asked, &values), decide(sure, "approve")]).await;
        assert_eq!(answered["inputs"][0]["edited_arguments"], values);
        let events = completed(&caller, &run).await;
        let replies =
            json!({"day": {"action": "accept", "content": values}, "sure": {"action": "accept", "content": {}}});
        assert_eq!(
            result(&events)["text"],
            format!("booked {} {replies}", json!({"city": "Rome"}))
        );
        let requested = events.iter().filter(|event| event.event == "input_requested");
        let requested: Vec<&Value> = requested.map(|event| &event.data["input_requested"]).collect();
        assert_eq!(requested.len(), 2);
        assert!(requested.iter().any(|event| event["schema"] == day()), "{requested:#?}");
        let answered = events.iter().filter(|event| event.event == "input_answered");
        assert!(
            answered
                .clone()
                .any(|event| event.data["input_answered"]["arguments"] == values)
        );
        assert_eq!(events.iter().filter(|event| event.event == "tool_call").count(), 1);
        // Only calls announce that the client answers questions.
        let calls = remote.calls();
        assert_eq!(calls.len(), 2);
        for call in &calls {
            assert_eq!(call["capabilities"], json!({"elicitation": {"form": {}}}));
        }
        assert_eq!(calls[1]["requestState"], "the state of the server");
        // The database does not show the state.
        let db = server.outside().await;
        let count = async |condition: &str| {
            let sql = format!("SELECT id FROM inputs WHERE {condition}");
            let statement = Statement::from_string(db.get_database_backend(), sql);
            db.query_all_raw(statement).await.unwrap().len()
        };
        assert_eq!(count("question IS NOT NULL").await, 2);
        assert_eq!(count("question LIKE '%state of the server%'").await, 0);
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_does_not_match_the_schema_changes_nothing() {
    on_servers(async |server| {
        let remote = AskingServer::start(two_questions).await;
        let caller = server.caller("ann");
        let run = started(&caller, &remote, &json!({})).await;
        let inputs = waiting(&caller, &run).await;
        let (asked, sure) = (by_message(&inputs, "Which day?"), by_message(&inputs, "Are you sure?"));
        let with = |field: &str, value: Value| {
            let mut answer = decide(asked, "answer");
            answer[field] = value;
            answer
        };
        let mut always = accept(asked, &json!({"day": "Monday"}));
        (always["decision"], always["always"]) = (json!("approve"), json!(true));
        for wrong in [
            accept(asked, &json!({"day": 5})),
            accept(asked, &json!({"day": "Mo"})),
            accept(asked, &json!({"day": "Monday", "seats": 0})),
            decide(asked, "answer"),
            decide(asked, "approve"),
            decide(asked, "result"),
            with("text", json!("Monday")),
            with("text", json!("{\"seats\": 2}")),
            with("arguments", json!({"day": "x".repeat(65 << 10)})),
            always,
        ] {
            // The other answer of the request is valid.
            let answers = json!({"answers": [decide(sure, "approve"), wrong]});
            let refused = caller.post(&answer_path(&run), answers).await;
            refused.refused(400, "INVALID_REQUEST");
            assert_eq!(pending(&caller, &run).await, inputs, "{wrong}");
        }
        assert_eq!(remote.calls().len(), 1);
        // A text that is a JSON object contains the values.
        let text = with("text", json!("{\"day\": \"Monday\"}"));
        answer(&caller, &run, &[text, decide(sure, "approve")]).await;
        completed(&caller, &run).await;
        let replies = &remote.calls()[1]["inputResponses"];
        assert_eq!(
            replies["day"],
            json!({"action": "accept", "content": {"day": "Monday"}})
        );
    })
    .await;
}

#[tokio::test]
async fn a_client_answers_the_questions_of_a_server_over_grpc() {
    on_servers(async |server| {
        let remote = AskingServer::start(two_questions).await;
        let caller = server.caller("ann");
        let run = started(&caller, &remote, &json!({})).await;
        let inputs = waiting(&caller, &run).await;
        let mut service = InputServiceClient::new(caller.channel().await);
        let request = |day: &str| {
            let fields = [("day".to_owned(), prost_types::Value::from(day.to_owned()))];
            let values = prost_types::Struct {
                fields: fields.into_iter().collect(),
            };
            let answers = inputs.iter().map(|input| v1::InputAnswer {
                input_id: text(input, "input_id").to_owned(),
                decision: v1::InputDecision::Answer.into(),
                arguments: (input["message"] == "Which day?").then(|| values.clone()),
                ..Default::default()
            });
            caller.signed(v1::AnswerInputRequest {
                agent_run_id: text(&run, "agent_run_id").to_owned(),
                answers: answers.collect(),
            })
        };
        let refused = service.answer_input(request("Mo")).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        let answered = service.answer_input(request("Monday")).await.unwrap().into_inner();
        assert_eq!(answered.status(), v1::RunStatus::Running);
        completed(&caller, &run).await;
        let replies = &remote.calls()[1]["inputResponses"];
        assert_eq!(
            replies["day"],
            json!({"action": "accept", "content": {"day": "Monday"}})
        );
    })
    .await;
}

#[tokio::test]
async fn an_approved_call_continues_with_its_edited_arguments_after_a_restart() {
    on_servers(async |server| {
        let remote = AskingServer::start(two_questions).await;
        let caller = server.caller("ann");
        let rules = json!({"rules": [{"tool": "box__*", "decision": "ask"}]});
        let run = started(&caller, &remote, &rules).await;
        let approval = waiting(&caller, &run).await;
        assert_eq!(approval[0]["kind"], "approval");
        let mut approved = decide(&approval[0], "approve");
        approved["arguments"] = json!({"city": "Oslo"});
        answer(&caller, &run, &[approved]).await;
        let inputs = waiting_again(&caller, &run, 2).await;
        server.restart().await;
        let caller = server.caller("ann");
        assert_eq!(pending(&caller, &run).await, inputs);
        let asked = by_message(&inputs, "Which day?");
        let answers = [
            accept(asked, &json!({"day": "Monday"})),
            decide(by_message(&inputs, "Are you sure?"), "deny"),
        ];
        answer(&caller, &run, &answers).await;
        let events = completed(&caller, &run).await;
        let told = result(&events)["text"].as_str().unwrap().to_owned();
        assert!(told.contains("booked {\"city\":\"Oslo\"}"), "{told}");
        let calls = remote.calls();
        assert_eq!(calls.len(), 2, "{calls:#?}");
        assert_eq!(calls[1]["inputResponses"]["sure"], json!({"action": "decline"}));
    })
    .await;
}

#[tokio::test]
async fn a_question_without_an_answer_in_time_is_cancelled() {
    on_servers(async |server| {
        let remote = AskingServer::start(two_questions).await;
        let caller = server.caller("ann");
        let run = started(&caller, &remote, &json!({})).await;
        let inputs = waiting(&caller, &run).await;
        let sql = format!(
            "UPDATE inputs SET expires_at = created_at WHERE message = '{}'",
            text(by_message(&inputs, "Which day?"), "message")
        );
        server.outside().await.execute_unprepared(&sql).await.unwrap();
        answer(&caller, &run, &[decide(by_message(&inputs, "Are you sure?"), "answer")]).await;
        completed(&caller, &run).await;
        let replies = &remote.calls()[1]["inputResponses"];
        let expected = json!({"day": {"action": "cancel"}, "sure": {"action": "accept", "content": {}}});
        assert_eq!(*replies, expected);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_asks_again_and_again_ends_with_a_tool_error() {
    on_servers(async |server| {
        let remote = AskingServer::start(|call| {
            let round = call["requestState"]
                .as_str()
                .map_or(1, |state| state.parse::<u32>().unwrap() + 1);
            let requests = json!({"day": question("Which day?", &day())});
            required(&requests, Some(&round.to_string()))
        })
        .await;
        let caller = server.caller("ann");
        let run = started(&caller, &remote, &json!({})).await;
        for round in 1..=MAX_ROUNDS {
            let inputs = waiting_again(&caller, &run, usize::try_from(round).unwrap()).await;
            answer(
                &caller,
                &run,
                &[accept(&inputs[0], &json!({"day": round.to_string().repeat(3)}))],
            )
            .await;
        }
        let events = completed(&caller, &run).await;
        let told = result(&events);
        assert_eq!(told["is_error"], true, "{told}");
        assert!(told["text"].as_str().unwrap().contains("after 10 rounds"), "{told}");
        let calls = remote.calls();
        assert_eq!(calls.len(), usize::try_from(MAX_ROUNDS).unwrap() + 1);
        // Each call has the replies and the state of its round.
        assert_eq!(calls[3]["requestState"], "3");
        assert_eq!(calls[3]["inputResponses"]["day"]["content"]["day"], "333");
    })
    .await;
}

#[tokio::test]
async fn a_server_gets_its_state_back_at_once_if_it_asks_nothing() {
    on_servers(async |server| {
        let remote = AskingServer::start(|call| match call["requestState"].as_str() {
            None => required(&json!({}), Some("again")),
            Some(state) => json!({"content": [{"type": "text", "text": state}]}),
        })
        .await;
        let events = run_with(&server.caller("ann"), json!([http("box", &remote.url)])).await;
        assert_eq!(result(&events)["text"], "again");
    })
    .await;
}

#[tokio::test]
async fn requests_that_runyard_does_not_support_are_a_tool_error() {
    on_servers(async |server| {
        let params = json!({"messages": [], "maxTokens": 5});
        let sampling = json!({"method": "sampling/createMessage", "params": params});
        let roots = json!({"method": "roots/list"});
        let params = json!({"mode": "url", "message": "Sign in.", "url": "https://a.example"});
        let url = json!({"method": "elicitation/create", "params": params});
        let caller = server.caller("ann");
        for (request, expected) in [(sampling, "(sampling)"), (roots, "(roots)"), (url, "URL mode")] {
            let requests = json!({"a": request, "b": question("Which day?", &day())});
            let remote = AskingServer::start(move |_| required(&requests, None)).await;
            let events = run_with(&caller, json!([http("box", &remote.url)])).await;
            let told = result(&events);
            assert_eq!(told["is_error"], true, "{told}");
            assert!(told["text"].as_str().unwrap().contains(expected), "{told}");
            assert_eq!(remote.calls().len(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn a_question_on_an_open_connection_is_declined_with_one_notice() {
    on_every_database_with(
        |_| calls("raw__act", json!({})),
        permit_loopback,
        async |server| {
            let answered = Arc::new(Notify::new());
            let request = question("Which day?", &day());
            let remote = RawServer::start(move |method| match method {
                "tools/call" => Reaction::Ask(request.clone(), Arc::clone(&answered)),
                "response" => {
                    answered.notify_one();
                    Reaction::Status(202, "")
                }
                _ => Reaction::Normal,
            })
            .await;
            let events = run_with(&server.caller("ann"), json!([http("raw", &remote.url)])).await;
            assert_eq!(result(&events)["text"], "acted");
            assert_eq!(
                remote.responses.lock().unwrap().as_slice(),
                [json!({"action": "decline"})]
            );
            let notices = notices(&events);
            assert_eq!(notices.len(), 1, "{notices:?}");
            assert!(notices[0].contains("asked the user a question"), "{notices:?}");
        },
    )
    .await;
}
