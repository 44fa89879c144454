//! Tests of the Connect protocol with the real service. Every refusal is a Connect error, even if it comes from a
//! layer in front of the services.

use bytes::{Buf, Bytes, BytesMut};
use futures::{StreamExt, future::join_all};
use prost::Message;
use reqwest::RequestBuilder;
use runyard_upstream::{Script, Turn};
use serde_json::{Value, json};

use super::{
    call::framed,
    requests::{text, until_first_delta},
};
use crate::test_server::{Caller, TEST_TIMEOUT, on_every_database, on_every_database_with};

const JSON: &str = "application/json";
const STREAM: &str = "application/connect+json";

fn unary(caller: &Caller, method: &str, body: &Value) -> RequestBuilder {
    let request = caller.request("POST", &format!("/runyard.v1.{method}"));
    request.header("content-type", JSON).body(body.to_string())
}

fn stream(caller: &Caller, method: &str, body: &Value) -> RequestBuilder {
    let request = caller.request("POST", &format!("/runyard.v1.{method}"));
    request
        .header("content-type", STREAM)
        .body(framed(body.to_string().as_bytes()))
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.timeout(TEST_TIMEOUT).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], JSON);
    (response.status().as_u16(), response.json().await.unwrap())
}

/// Sends a streaming call. Returns its messages, and the content of the last envelope.
async fn messages(request: RequestBuilder) -> (Vec<Value>, Value) {
    let response = request.timeout(TEST_TIMEOUT).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &STREAM.parse().unwrap())
    );
    let mut rest = response.bytes().await.unwrap();
    let mut messages = Vec::new();
    loop {
        let (flags, length) = (rest.get_u8(), rest.get_u32() as usize);
        let message = serde_json::from_slice(&rest.split_to(length)).unwrap();
        if flags & 2 != 0 {
            assert!(rest.is_empty());
            return (messages, message);
        }
        messages.push(message);
    }
}

#[tokio::test]
async fn a_run_over_connect() {
    on_every_database(
        |_| Script::function(|_| Turn::words(20)),
        async |server| {
            let caller = server.caller("ann");
            let (status, started) = answer(unary(&caller, "RunService/StartRun", &json!({"prompt": "x"}))).await;
            assert_eq!((status, &started["status"]), (200, &json!("RUN_STATUS_RUNNING")));
            let run = json!({"agentRunId": started["agentRunId"]});
            let (events, end) = messages(stream(&caller, "RunService/StreamRun", &run)).await;
            assert_eq!(end, json!({}));
            let sequences: Vec<usize> = events
                .iter()
                .map(|event| text(event, "sequence").parse().unwrap())
                .collect();
            assert_eq!(sequences, (1..=events.len()).collect::<Vec<_>>());
            let last = events.last().unwrap();
            assert_eq!(last["status"]["status"], "RUN_STATUS_COMPLETED", "{last}");

            let cursor = json!({"agentRunId": started["agentRunId"], "afterSequence": "2"});
            let (rest, _) = messages(stream(&caller, "RunService/StreamRun", &cursor)).await;
            assert_eq!(rest, events[2..]);
            let (_, run) = answer(unary(&caller, "RunService/GetRun", &run)).await;
            assert_eq!(run["status"], "RUN_STATUS_COMPLETED");

            let (status, error) = answer(unary(&caller, "RunService/GetRun", &json!({"agentRunId": "x"}))).await;
            assert_eq!((status, &error["code"]), (400, &json!("invalid_argument")));
            assert_eq!(error["details"][0]["type"], "google.rpc.ErrorInfo");
            assert_eq!(error["details"][0]["debug"]["reason"], "INVALID_REQUEST");
            let beyond = json!({"agentRunId": started["agentRunId"], "afterSequence": "9999"});
            let (events, end) = messages(stream(&caller, "RunService/StreamRun", &beyond)).await;
            assert!(events.is_empty());
            assert_eq!(end["error"]["details"][0]["debug"]["reason"], "CURSOR_BEYOND_END");
            caller
                .post("/agent/start", json!({"nope": 1}))
                .await
                .refused(400, "INVALID_REQUEST");
        },
    )
    .await;
}

#[tokio::test]
async fn calls_and_streams_end_at_their_deadline() {
    on_every_database(
        |gate| {
            let gate = gate.clone();
            Script::function(move |_| Turn::words(10).gate_after(3, &gate))
        },
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            until_first_delta(&caller, &run).await;
            let run = json!({"agentRunId": run["agent_run_id"]});
            let request = stream(&caller, "RunService/StreamRun", &run).header("connect-timeout-ms", "3000");
            let (events, end) = messages(request).await;
            assert!(events.len() > 1);
            assert_eq!(end["error"]["code"], "deadline_exceeded");
            assert_eq!(end["error"]["message"], "the deadline of the call has passed");

            let get = || unary(&caller, "RunService/GetRun", &run);
            let (status, error) = answer(get().header("connect-timeout-ms", "0")).await;
            assert_eq!((status, &error["code"]), (504, &json!("deadline_exceeded")));
            let (status, error) = answer(get().header("connect-timeout-ms", "soon")).await;
            assert_eq!((status, &error["code"]), (400, &json!("invalid_argument")));
            assert_eq!(answer(get().header("connect-timeout-ms", "9999999999")).await.0, 200);
            server.gate.open();
        },
    )
    .await;
}

#[tokio::test]
async fn a_request_without_a_valid_credential_gets_the_error_of_the_protocol() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let mut stranger = caller.clone();
            stranger.token = "none".to_owned();
            let request = unary(&stranger, "AgentService/ListAgents", &json!({}));
            let response = request.send().await.unwrap();
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
            assert_eq!(response.headers()["x-error-code"], "NOT_AUTHENTICATED");
            let (status, error) = (response.status().as_u16(), response.json::<Value>().await.unwrap());
            assert_eq!((status, &error["code"]), (401, &json!("unauthenticated")));
            assert_eq!(error["details"][0]["debug"]["reason"], "NOT_AUTHENTICATED");
            let (_, end) = messages(stream(&stranger, "RunService/StreamRun", &json!({}))).await;
            assert_eq!(end["error"]["code"], "unauthenticated");
            assert_eq!(
                answer(unary(&caller, "AgentService/ListAgents", &json!({}))).await.0,
                200
            );
        },
    )
    .await;
}

#[tokio::test]
async fn limits_apply_to_calls_and_streams() {
    on_every_database_with(
        |gate| {
            let gate = gate.clone();
            Script::function(move |_| Turn::text("x").held_by(&gate))
        },
        |config| {
            config.http.max_streams_per_account = 1;
            config.http.max_message_bytes = 100_000;
        },
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            let run = json!({"agentRunId": run["agent_run_id"]});
            let mut open = stream(&caller, "RunService/StreamRun", &run).send().await.unwrap();
            assert!(open.chunk().await.unwrap().is_some());
            let (_, end) = messages(stream(&caller, "RunService/StreamRun", &run)).await;
            assert_eq!(end["error"]["code"], "resource_exhausted");
            assert_eq!(end["error"]["details"][0]["debug"]["reason"], "THROTTLED");
            server.gate.open();
            while open.chunk().await.unwrap().is_some() {}
            drop(open);

            let large = json!({"name": "x".repeat(100_000)});
            let (status, error) = answer(unary(&caller, "ThreadService/CreateThread", &large)).await;
            assert_eq!((status, &error["code"]), (429, &json!("resource_exhausted")));
            assert_eq!(error["details"][0]["debug"]["reason"], "TOO_LARGE");
            let fits = json!({"name": "x"});
            assert_eq!(answer(unary(&caller, "ThreadService/CreateThread", &fits)).await.0, 200);
        },
    )
    .await;
}

#[tokio::test]
async fn a_throttled_call_is_told_when_to_retry() {
    use std::num::NonZeroU32;

    use runyard::config::{Rate, RateLimit};

    let one = NonZeroU32::MIN;
    let rate = Rate {
        per_second: one,
        burst: one,
    };
    on_every_database_with(
        |_| Turn::text("x"),
        |config| config.http.rate_per_account = Some(RateLimit::Rate(rate)),
        async |server| {
            let caller = server.caller("ann");
            let calls = (0..20).map(|_| answer(unary(&caller, "AgentService/ListAgents", &json!({}))));
            let answers = join_all(calls).await;
            assert!(answers.iter().any(|(status, _)| *status == 200));
            let (_, error) = answers.into_iter().find(|(status, _)| *status == 429).unwrap();
            assert_eq!(error["code"], "resource_exhausted");
            let details = error["details"].as_array().unwrap();
            let retry = details
                .iter()
                .find(|detail| detail["type"] == "google.rpc.RetryInfo")
                .unwrap();
            assert!(retry["debug"]["retryDelay"].is_string(), "{retry}");
        },
    )
    .await;
}

#[tokio::test]
async fn an_idle_stream_sends_heartbeats() {
    on_every_database_with(
        |gate| {
            let gate = gate.clone();
            Script::function(move |_| Turn::text("At last.").held_by(&gate))
        },
        |config| config.http.heartbeat_seconds = 1,
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("Wait.").await;
            let run = json!({"agentRunId": run["agent_run_id"]});
            let response = stream(&caller, "RunService/StreamRun", &run).send().await.unwrap();
            let mut chunks = response.bytes_stream();
            let mut received = BytesMut::new();
            let beat = async {
                loop {
                    received.extend_from_slice(&chunks.next().await.unwrap().unwrap());
                    while let Some(message) = first(&mut received) {
                        let event: Value = serde_json::from_slice(&message).unwrap();
                        let kinds = event.as_object().unwrap().keys();
                        let known = ["agentRunId", "sequence", "createdAt"];
                        if kinds.into_iter().all(|key| known.contains(&key.as_str())) {
                            return event;
                        }
                    }
                }
            };
            let heartbeat = tokio::time::timeout(TEST_TIMEOUT, beat).await.unwrap();
            assert_eq!(heartbeat["agentRunId"], run["agentRunId"]);
            server.gate.open();
        },
    )
    .await;
}

/// Removes the first envelope and returns its message. Returns `None` if the envelope is incomplete.
fn first(received: &mut BytesMut) -> Option<Bytes> {
    let length = u32::from_be_bytes(received.get(1..5)?.try_into().unwrap()) as usize;
    (received.len() >= 5 + length).then(|| {
        received.advance(5);
        received.split_to(length).freeze()
    })
}

/// Clients such as `buf curl` read descriptors from the reflection service, over a bidirectional stream.
#[tokio::test]
async fn health_and_reflection_need_no_token() {
    #[derive(Clone, PartialEq, prost::Message)]
    struct ListServices {
        #[prost(string, tag = "7")]
        list_services: String,
    }
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let post = |path: &str, kind: &str, body: Vec<u8>| {
                let request = server.http.post(server.url(path)).header("content-type", kind);
                request.body(body).timeout(TEST_TIMEOUT).send()
            };
            let health = "/grpc.health.v1.Health/Check";
            let healthy = post(health, JSON, b"{}".to_vec()).await.unwrap();
            assert_eq!(healthy.json::<Value>().await.unwrap(), json!({"status": "SERVING"}));
            let healthy = post(health, "application/proto", Vec::new()).await.unwrap();
            assert_eq!(healthy.bytes().await.unwrap(), b"\x08\x01".as_slice());
            let ask = ListServices {
                list_services: "*".to_owned(),
            };
            let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
            let answer = post(reflection, "application/connect+proto", framed(&ask.encode_to_vec()));
            let answer = answer.await.unwrap().bytes().await.unwrap();
            let shown = String::from_utf8_lossy(&answer);
            assert!(shown.contains("runyard.v1.RunService"), "{shown}");
            assert!(answer.ends_with(&[&[2, 0, 0, 0, 2][..], b"{}"].concat()), "{shown}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_preflight_allows_the_headers_of_connect() {
    const ORIGIN: &str = "https://app.example.com";
    on_every_database_with(
        |_| Turn::text("x"),
        |config| config.http.cors_origins = vec![ORIGIN.to_owned()],
        async |server| {
            let asked = [
                "connect-protocol-version",
                "connect-timeout-ms",
                "content-type",
                "authorization",
            ];
            let request = server
                .http
                .request(reqwest::Method::OPTIONS, server.url("/runyard.v1.RunService/StartRun"))
                .header("origin", ORIGIN)
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", asked.join(","));
            let answer = request.send().await.unwrap();
            let allowed = answer.headers()["access-control-allow-headers"]
                .to_str()
                .unwrap()
                .to_lowercase();
            for name in asked {
                assert!(allowed.split(',').any(|allowed| allowed.trim() == name), "{name}");
            }
        },
    )
    .await;
}
