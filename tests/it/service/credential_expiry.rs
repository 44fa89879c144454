//! Tests that an open stream ends when its credential expires or is revoked. Another credential can resume the
//! stream.

use std::time::Duration;

use futures::StreamExt;
use runyard::{
    v1,
    wire::jwt::{Grant, LEEWAY_SECONDS, mint},
};
use runyard_upstream::{Script, Turn};
use serde_json::json;

use super::requests::text;
use crate::test_server::{Answer, Caller, TEST_TIMEOUT, TestServer, assert_no_gaps, on_every_database, parse_sse};

const WHY: &str = "Not authenticated";

fn held() -> impl Fn(&runyard_upstream::Gate) -> Script {
    |gate| {
        let gate = gate.clone();
        Script::function(move |_| Turn::words(10).gate_after(3, &gate))
    }
}

/// Opens a stream and reads its first event. Returns the stream, and the text that was read.
async fn open_stream(caller: &Caller, run: &serde_json::Value) -> (reqwest::Response, String) {
    let path = format!("/agent-run/{}/stream", text(run, "agent_run_id"));
    let mut stream = caller.request("GET", &path).send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let mut seen = String::new();
    while !seen.contains("data:") {
        let piece = tokio::time::timeout(TEST_TIMEOUT, stream.chunk()).await;
        let piece = piece.unwrap().unwrap().unwrap();
        seen.push_str(std::str::from_utf8(&piece).unwrap());
    }
    (stream, seen)
}

/// Reads a stream to its end. Returns all of its text.
async fn read_to_end((stream, seen): (reqwest::Response, String)) -> String {
    let rest = tokio::time::timeout(TEST_TIMEOUT, stream.text()).await;
    seen + &rest.unwrap().unwrap()
}

/// Checks that the stream ended with a fault, and that another credential resumes the stream without a gap.
async fn goes_on(server: &TestServer, ann: &Caller, run: &serde_json::Value, before: &str) {
    assert!(before.contains("event: fault") && before.contains(WHY), "{before}");
    let (events, _) = before.split_once("event: fault").unwrap();
    let mut events = parse_sse(events);
    assert!(!events.is_empty());
    server.gate.open();
    let rest = ann.events(run, i64::try_from(events.len()).unwrap()).await;
    events.extend(rest);
    assert_no_gaps(&events, 1);
}

#[tokio::test]
async fn j14_a_stream_ends_when_its_key_is_revoked() {
    on_every_database(held(), async |server| {
        let ann = server.caller("ann");
        let made = ann.post("/api-keys", json!({"name": "ci"})).await.ok();
        let mut using = server.caller("nobody");
        text(&made, "secret").clone_into(&mut using.token);
        let run = ann.start("x").await;
        server.upstream.wait_for(1).await;
        // This stream uses the account's token instead of the API key, so it stays open after the revocation.
        let mut grpc = ann.runs().await;
        let request = ann.signed(v1::StreamRunRequest {
            agent_run_id: text(&run, "agent_run_id").to_owned(),
            after_sequence: 0,
            ..Default::default()
        });
        let kept = grpc.stream_run(request).await.unwrap().into_inner();
        let path = format!("/api-keys/{}/revoke", text(&made["api_key"], "key_id"));
        let stream = open_stream(&using, &run).await;
        Answer::of(ann.request("PATCH", &path).send().await.unwrap()).await.ok();
        let before = read_to_end(stream).await;
        goes_on(server, &ann, &run, &before).await;
        let kept: Vec<_> = tokio::time::timeout(TEST_TIMEOUT, kept.collect()).await.unwrap();
        assert!(kept.iter().all(Result::is_ok), "{kept:?}");
    })
    .await;
}

#[tokio::test]
async fn j15_a_stream_ends_when_its_token_expires() {
    on_every_database(held(), async |server| {
        let ann = server.caller("ann");
        let run = ann.start("x").await;
        server.upstream.wait_for(1).await;
        let grant = Grant {
            subject: "ann".to_owned(),
            role: None,
            lifetime: Duration::from_secs(5),
        };
        let secret = server.config.auth.jwt_secret.clone().unwrap();
        let made_at = server.clock.now() - Duration::from_secs(LEEWAY_SECONDS.unsigned_abs());
        let mut short = server.caller("nobody");
        short.token = mint(&server.config.auth, &secret, &grant, made_at).unwrap();
        let before = read_to_end(open_stream(&short, &run).await).await;
        goes_on(server, &ann, &run, &before).await;
    })
    .await;
}
