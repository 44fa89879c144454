//! Tests that the log of a failing request contains the cause, but no text, file or secret of a caller. Idle streams
//! send heartbeats over every protocol.

use std::time::Duration;

use futures::StreamExt;
use prost::Message;
use reqwest::multipart::{Form, Part};
use runyard::v1;
use runyard_upstream::{Script, Turn, Upstream};
use serde_json::{Value, json};

use super::{call::framed, program::Program};
use crate::{
    difference::assert_same_list,
    test_server::{Answer, TEST_TIMEOUT, on_every_database_with},
};

const CONFIG: &str = "[[tiers]]\nname = \"free\"\nmodels = [\"*\"]\ndefault_model = \"kortix/minimax\"\n\
                      max_upload_bytes = 1000000\ncredits_granted = 300\n";

#[tokio::test]
async fn i12_the_log_holds_no_user_content() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(Script::function(|_| {
        Turn::status(400).body("{\"error\": {\"message\": \"CANARY-ANSWER is no good\"}}")
    }))
    .await;
    let provider = format!(
        "{CONFIG}[providers.default]\nkind = \"openai\"\nbase_url = \"{}\"\napi_key = \"sk-CANARY-KEY\"\n",
        upstream.base_url()
    );
    let mut program = Program::start(folder.path(), &provider).await;
    let ann = program.token.clone();
    program.token = program.mint("CANARY-NEIGHBOUR").await;
    let theirs = program
        .request("POST", "/threads")
        .json(&json!({"name": "CANARY-TITLE"}))
        .send()
        .await
        .unwrap();
    let theirs: Value = theirs.json().await.unwrap();
    program.token = ann.clone();

    // The model refuses this run. Every field of the request contains a string that must not appear in the log.
    let form = Form::new()
        .text("prompt", "CANARY-PROMPT")
        .part("files", Part::text("CANARY-CONTENT").file_name("CANARY-NAME.txt"));
    let answer = program
        .request("POST", "/agent/start")
        .multipart(form)
        .send()
        .await
        .unwrap();
    let run = Answer::of(answer).await.ok();
    let run_id = run["agent_run_id"].as_str().unwrap();
    let path = format!("/agent-run/{run_id}/stream");
    let events = program
        .request("GET", &path)
        .timeout(TEST_TIMEOUT)
        .send()
        .await
        .unwrap();
    assert!(events.text().await.unwrap().contains("\"failed\""));
    // The next requests fail because of a thread of another account, a malformed body, an invalid token and an
    // invalid API key.
    let thread = theirs["thread_id"].as_str().unwrap();
    let request = json!({"prompt": "CANARY-PROMPT", "thread_id": thread});
    let refused = program
        .request("POST", "/agent/start")
        .json(&request)
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 404);
    let broken = program
        .request("POST", "/agent/start")
        .header("content-type", "application/json");
    assert_eq!(
        broken.body("{\"prompt\": CANARY-BODY").send().await.unwrap().status(),
        400
    );
    for (name, value) in [
        ("authorization", "Bearer CANARY.TOKEN.x"),
        ("x-api-key", "ry_CANARYKEY"),
    ] {
        let request = program.http.get(format!("{}/agents", program.url)).header(name, value);
        assert_eq!(request.send().await.unwrap().status(), 401);
    }

    let log = program.log();
    for code in ["THREAD_NOT_FOUND", "INVALID_REQUEST", "NOT_AUTHENTICATED"] {
        assert!(log.contains(code), "the log should name the failure {code}: {log}");
    }
    let leak = log.lines().find(|line| line.contains("CANARY"));
    assert_eq!(leak, None, "the log should hold no user content");
    let signature = ann.rsplit('.').next().unwrap();
    assert!(
        !log.contains(&ann) && !log.contains(signature),
        "the log should hold no token"
    );
    for id in ["thread_id", "project_id", "account_id"] {
        if let Some(id) = theirs[id].as_str() {
            assert!(
                !log.contains(id),
                "the log of one account should not name an object of another: {id}"
            );
        }
    }
}

#[tokio::test]
async fn u06_an_idle_stream_sends_heartbeats() {
    on_every_database_with(
        |gate| {
            let gate = gate.clone();
            Script::function(move |_| Turn::text("At last.").held_by(&gate))
        },
        |config| config.http.heartbeat_seconds = 1,
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("Wait.").await;
            let path = format!("/agent-run/{}/stream", run["agent_run_id"].as_str().unwrap());
            let stream = caller.request("GET", &path).send().await.unwrap();
            let mut pieces = stream.bytes_stream();
            let mut received = String::new();
            let two = async {
                while received.lines().filter(|line| line.starts_with(':')).count() < 2 {
                    received.push_str(std::str::from_utf8(&pieces.next().await.unwrap().unwrap()).unwrap());
                }
            };
            tokio::time::timeout(TEST_TIMEOUT, two)
                .await
                .expect("two heartbeats should arrive");
            server.gate.open();
            let rest = async {
                while let Some(piece) = pieces.next().await {
                    received.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
                }
            };
            tokio::time::timeout(Duration::from_secs(20), rest)
                .await
                .expect("the stream should end");
            assert!(
                received.contains("At last.") && received.contains("\"completed\""),
                "{received}"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn u06_heartbeats_repeat_the_cursor_over_every_protocol() {
    on_every_database_with(
        |gate| {
            let gate = gate.clone();
            Script::function(move |_| Turn::text("At last.").held_by(&gate))
        },
        |config| config.http.heartbeat_seconds = 1,
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("Wait.").await;
            let run_id = run["agent_run_id"].as_str().unwrap().to_owned();
            let ask = v1::StreamRunRequest {
                agent_run_id: run_id.clone(),
                after_sequence: 0,
                ..Default::default()
            };
            let many = v1::StreamRunsRequest {
                runs: vec![v1::RunCursor {
                    agent_run_id: run_id.clone(),
                    after_sequence: 0,
                }],
            };
            let mut runs = caller.runs().await;
            let single = runs.stream_run(caller.signed(ask.clone())).await.unwrap().into_inner();
            let several = runs.stream_runs(caller.signed(many)).await.unwrap().into_inner();
            let mut whole = Vec::new();
            for mut stream in [single, several] {
                let mut events = Vec::new();
                let mut last = 0;
                let mut heartbeats = 0;
                let received = async {
                    while let Some(event) = stream.message().await.unwrap() {
                        assert_eq!(event.agent_run_id, run_id);
                        if event.event.is_none() {
                            assert_eq!(event.sequence, last, "a heartbeat should repeat the cursor");
                            heartbeats += 1;
                            if heartbeats == 2 {
                                server.gate.open();
                            }
                            continue;
                        }
                        assert_eq!(event.sequence, last + 1);
                        last = event.sequence;
                        events.push(event);
                    }
                };
                tokio::time::timeout(TEST_TIMEOUT, received)
                    .await
                    .expect("the stream should end");
                whole.push(events);
            }
            assert_same_list(&whole[0], &whole[1], "heartbeats should not be part of the history");
            assert!(whole[0].len() > 2);
        },
    )
    .await;
}

#[tokio::test]
async fn u06_grpc_web_and_json_lines_have_heartbeats() {
    on_every_database_with(
        |gate| {
            let gate = gate.clone();
            Script::function(move |_| Turn::text("At last.").held_by(&gate))
        },
        |config| config.http.heartbeat_seconds = 1,
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("Wait.").await;
            let run_id = run["agent_run_id"].as_str().unwrap();
            let ask = v1::StreamRunRequest {
                agent_run_id: run_id.to_owned(),
                after_sequence: 0,
                ..Default::default()
            };
            let web = caller
                .request("POST", "/runyard.v1.RunService/StreamRun")
                .header("content-type", "application/grpc-web+proto")
                .body(framed(&ask.encode_to_vec()));
            let path = format!("/agent-run/{run_id}/stream");
            let lines = caller.request("GET", &path).header("accept", "application/x-ndjson");
            for request in [web, lines] {
                let mut pieces = request.send().await.unwrap().bytes_stream();
                // This loop reads the first event and then two heartbeats.
                for _ in 0..3 {
                    let piece = tokio::time::timeout(TEST_TIMEOUT, pieces.next())
                        .await
                        .expect("the stream should send a heartbeat");
                    assert!(!piece.unwrap().unwrap().is_empty());
                }
            }
            server.gate.open();
            let events = caller.events(&run, 0).await;
            crate::test_server::assert_no_gaps(&events, 1);
        },
    )
    .await;
}
