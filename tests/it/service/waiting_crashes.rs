//! Tests of SIGKILL at each point between the request for an input and the end of its run, with the real program. Nothing
//! is lost, and no call runs twice.
//!
//! On PostgreSQL, the lease of a killed program must expire before the next program resumes the run. So the lease is
//! short there, and the kinds of inputs are tested at the same time.

use std::time::Duration;

use futures::future::join_all;
use runyard_upstream::Upstream;
use serde_json::{Value, json};

use super::{
    program::{OPEN, Program},
    requests::text,
    waiting::{look_up, obedient},
};
use crate::{
    mcp::{asking::AskingServer, http},
    test_server::{Database, TEST_TIMEOUT, assert_no_gaps, databases, kinds, parse_sse},
};

const REMEMBER: &str = r#"remember {"text": "Ann likes blue."}"#;

/// Kind of the input that a run waits for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Approval,
    ClientTool,
    Question,
    /// A question of an MCP server in the middle of a call.
    Server,
}

/// Asks for a day, and then books.
fn book(call: &Value) -> Value {
    if !call["requestState"].is_null() {
        return json!({"content": [{"type": "text", "text": "Booked."}]});
    }
    let schema = json!({"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]});
    let params = json!({"mode": "form", "message": "Which day?", "requestedSchema": schema});
    json!({
        "resultType": "input_required",
        "inputRequests": {"day": {"method": "elicitation/create", "params": params}},
        "requestState": "city",
    })
}

impl Kind {
    fn prompt(self) -> &'static str {
        match self {
            Self::Approval => REMEMBER,
            Self::ClientTool => r#"look_up {"word": "tree"}"#,
            Self::Question => r#"ask_user {"question": "Which colour?"}"#,
            Self::Server => r#"box__book {"city": "Bonn"}"#,
        }
    }

    fn answer(self, input: &Value) -> Value {
        let (decision, text) = match self {
            Self::Approval => ("approve", ""),
            Self::ClientTool => ("result", "A plant."),
            Self::Question => ("answer", "Blue."),
            Self::Server => {
                let answer =
                    json!({"input_id": input["input_id"], "decision": "answer", "arguments": {"day": "Monday"}});
                return json!({"answers": [answer]});
            }
        };
        json!({"answers": [{"input_id": input["input_id"], "decision": decision, "text": text}]})
    }
}

async fn json_of(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
    answer.json().await.unwrap()
}

/// Where the program is killed: when the stream shows the event with this sequence number, or directly after the request
/// with the answer was sent.
#[derive(Clone, Copy, Debug)]
enum Point {
    Event(i64),
    Answer(Duration),
}

/// Follows a run over server-sent events, and answers its input, up to the point. Returns false if the run ended before.
async fn reach(program: &Program, run: &Value, kind: Kind, point: Point) -> bool {
    let path = format!("/agent-run/{}/stream", text(run, "agent_run_id"));
    let mut stream = program.request("GET", &path).send().await.unwrap();
    let (mut seen, mut is_answered) = (String::new(), false);
    while let Some(bytes) = stream.chunk().await.unwrap() {
        seen.push_str(std::str::from_utf8(&bytes).unwrap());
        let whole = seen.rfind("\n\n").map_or(0, |end| end + 2);
        let events = parse_sse(&seen[..whole]);
        let last = events
            .last()
            .map_or(0, |event| event.data["sequence"].as_i64().unwrap());
        if matches!(point, Point::Event(sequence) if last >= sequence) {
            return true;
        }
        let asked = events.iter().find(|event| event.event == "input_requested");
        if let Some(asked) =
            asked.filter(|_| !is_answered && kinds(&events).iter().filter(|kind| **kind == "status").count() >= 2)
        {
            is_answered = true;
            let answer = kind.answer(&asked.data["input_requested"]);
            let path = format!("/agent-run/{}/answer", text(run, "agent_run_id"));
            let request = program.request("POST", &path).json(&answer).send();
            if let Point::Answer(delay) = point {
                let _ = tokio::time::timeout(delay, request).await;
                return true;
            }
            assert_eq!(request.await.unwrap().status(), 200);
        }
    }
    false
}

/// Answers what the run asks until the run has ended.
async fn finish(program: &Program, run: &Value, kind: Kind) {
    let ending = async {
        loop {
            let path = format!("/agent-run/{}", text(run, "agent_run_id"));
            let state = json_of(program.request("GET", &path)).await;
            match state["status"].as_str().unwrap() {
                "waiting" => {
                    let listed = json_of(program.request("GET", "/inputs")).await;
                    if let Some(input) = listed["inputs"].get(0) {
                        json_of(
                            program
                                .request("POST", &format!("{path}/answer"))
                                .json(&kind.answer(input)),
                        )
                        .await;
                    }
                }
                "completed" => return,
                "running" => tokio::time::sleep(Duration::from_millis(5)).await,
                state => panic!("{state}: {}", program.log()),
            }
        }
    };
    let ended = tokio::time::timeout(TEST_TIMEOUT, ending).await;
    assert!(ended.is_ok(), "the run did not end: {}", program.log());
}

/// Checks a run that has ended. `booked` is the number of bookings that the MCP server made for it.
async fn check(program: &Program, run: &Value, kind: Kind, booked: usize, what: &str) {
    let path = format!("/agent-run/{}/stream", text(run, "agent_run_id"));
    let streamed = program
        .request("GET", &path)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let events = parse_sse(&streamed);
    assert_no_gaps(&events, 1);
    let count = |kind: &str| events.iter().filter(|event| event.event == kind).count();
    assert_eq!(count("tool_call"), 1, "{what}: {events:#?}");
    assert_eq!(count("tool_result"), 1, "{what}: {events:#?}");
    let result = events.iter().find(|event| event.event == "tool_result").unwrap();
    let result = result.data["tool_result"]["text"].as_str().unwrap();
    // Only the call to the MCP server can be interrupted before it asks.
    let is_unknown = result.starts_with("interrupted, outcome unknown");
    let asked = (count("input_requested"), count("input_answered"));
    assert!(
        asked == (1, 1) || (kind == Kind::Server && is_unknown && asked == (0, 0)),
        "{what}: {events:#?}"
    );
    match kind {
        Kind::Server if is_unknown => assert!(booked <= 1, "{what}"),
        Kind::Server => assert_eq!((result, booked), ("Booked.", 1), "{what}"),
        Kind::ClientTool => assert_eq!(result, "A plant.", "{what}"),
        Kind::Question => assert_eq!(result, "Blue.", "{what}"),
        Kind::Approval => {
            let listed = json_of(program.request("GET", "/memories")).await;
            let stored = listed["memories"].as_array().unwrap().len();
            if result.starts_with("Remembered.") {
                assert_eq!(stored, 1, "{what}");
            } else {
                assert!(is_unknown, "{what}: {result}");
                assert!(stored <= 1, "{what}");
            }
            for memory in listed["memories"].as_array().unwrap() {
                let path = format!("/memories/{}", text(memory, "memory_id"));
                program.request("DELETE", &path).send().await.unwrap();
            }
        }
    }
}

async fn kill_everywhere(database: &Database, kind: Kind) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(obedient()).await;
    let remote = AskingServer::start(book).await;
    let made = database.make().await;
    let settings = made.as_ref().map_or(String::new(), |made| {
        format!("database_url = \"{}\"\n[worker]\nlease_seconds = 1\n", made.url)
    });
    let config = format!(
        "{settings}[mcp]\nallow_private_addresses = true\n[providers.default]\nkind = \"openai\"\nbase_url = \"{}\"\napi_key = \"sk-test\"\nmodel = \"scripted\"\n{}",
        upstream.base_url(),
        OPEN.replace("runyard/demo", "kortix/minimax")
    );
    let mut program = Program::start(folder.path(), &config).await;
    let agent = json!({
        "name": "Careful", "memory": {"enabled": true}, "agentpress_tools": {"ask_user": {"enabled": true}},
        "approvals": {"rules": [{"tool": "remember", "decision": "ask"}]},
        "custom_mcps": [http("box", &remote.url)],
    });
    let agent = json_of(program.request("POST", "/agents").json(&agent)).await;
    let events = (1..).map(Point::Event);
    let answers = [0, 1, 2, 3, 5, 8].map(|delay| Point::Answer(Duration::from_millis(delay)));
    let mut points = 0;
    for point in answers.into_iter().chain(events) {
        let what = format!("{kind:?} at {point:?}");
        let bookings = || {
            remote
                .calls()
                .iter()
                .filter(|call| !call["requestState"].is_null())
                .count()
        };
        let before = bookings();
        let body = json!({"prompt": kind.prompt(), "agent_id": agent["agent_id"], "tools": [look_up()]});
        let run = json_of(program.request("POST", "/agent/start").json(&body)).await;
        let reached = reach(&program, &run, kind, point).await;
        if reached {
            points += 1;
            program.kill().await;
            program.start_again().await;
            finish(&program, &run, kind).await;
        }
        check(&program, &run, kind, bookings() - before, &what).await;
        if !reached {
            break;
        }
    }
    program.kill().await;
    if let Some(made) = made {
        made.drop().await;
    }
    points
}

#[tokio::test]
async fn no_kill_loses_or_repeats_anything() {
    for database in databases() {
        let kinds = [Kind::Approval, Kind::ClientTool, Kind::Question, Kind::Server];
        let points = join_all(kinds.map(|kind| kill_everywhere(&database, kind))).await;
        let points: usize = points.into_iter().sum();
        assert!(points >= 40, "only {points} points on {database:?}");
    }
}
