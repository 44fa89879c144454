//! Tests that the server refuses gRPC-Web requests that no browser sends. Its answers have the headers that proxies
//! and simple clients need.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::stream;
use prost::Message;
use reqwest::Body;
use runyard::v1;
use runyard_upstream::Turn;

use super::call::framed;
use crate::test_server::{Caller, TEST_TIMEOUT, TestServer, on_every_database};

const BINARY: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text+proto";

/// Sends a call. Returns the gRPC status from the headers or from the trailers frame.
async fn status(server: &TestServer, caller: &Caller, kind: &str, body: Body) -> i32 {
    let request = server
        .http
        .post(server.url("/runyard.v1.AgentService/ListAgents"))
        .bearer_auth(&caller.token)
        .header("content-type", kind)
        .header("accept", kind)
        .body(body);
    let answer = tokio::time::timeout(TEST_TIMEOUT, request.send())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer.status(), 200);
    if let Some(status) = answer.headers().get("grpc-status") {
        return status.to_str().unwrap().parse().unwrap();
    }
    let mut content = answer.bytes().await.unwrap().to_vec();
    if kind == TEXT {
        // Each frame may have its own base64 padding.
        content = content
            .chunks(4)
            .flat_map(|quantum| STANDARD.decode(quantum).unwrap())
            .collect();
    }
    let content = String::from_utf8_lossy(&content);
    let (_, status) = content.split_once("grpc-status:").unwrap();
    status.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn h11_malformed_grpc_web_is_refused() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let good = framed(&prost::Message::encode_to_vec(&v1::ListAgentsRequest {
                page_size: 7,
                ..Default::default()
            }));
            let text = STANDARD.encode(&good);
            let split = |at: usize| {
                let (first, rest) = text.split_at(at);
                let parts = [first.to_owned(), rest.to_owned()].map(|part| Ok::<_, std::io::Error>(Bytes::from(part)));
                Body::wrap_stream(stream::iter(parts))
            };
            let ask = async |kind: &str, body: Body| status(server, &caller, kind, body).await;
            assert_eq!(ask(BINARY, good.clone().into()).await, 0);
            assert_eq!(ask(TEXT, text.clone().into()).await, 0);
            for at in 1..text.len() {
                assert_eq!(ask(TEXT, split(at)).await, 0, "split inside a base64 quantum, at {at}");
            }
            let trailers = [&[0x80, 0, 0, 0, 15][..], b"grpc-status:0\r\n"].concat();
            let large = framed(&vec![0x42; 5 << 20]);
            let refused: [(&str, &str, Vec<u8>, &[i32]); 7] = [
                ("not base64", TEXT, b"!!!!????".to_vec(), &[3]),
                (
                    "truncated base64",
                    TEXT,
                    text.as_bytes()[..text.len() - 3].to_vec(),
                    &[3],
                ),
                ("binary as text", TEXT, good.clone(), &[3]),
                ("text as binary", BINARY, text.clone().into_bytes(), &[3, 8]),
                ("only trailers", BINARY, trailers.clone(), &[3]),
                ("a truncated message", BINARY, good[..good.len() - 1].to_vec(), &[3]),
                ("more than 4 MB", BINARY, large, &[8]),
            ];
            for (what, kind, body, expected) in refused {
                let status = ask(kind, body.into()).await;
                assert!(expected.contains(&status), "{what}: {status}");
            }
            // A trailers frame after a complete message either ends the request or makes the request invalid.
            let ended = [good.clone(), trailers].concat();
            let status = ask(BINARY, ended.into()).await;
            assert!([0, 3].contains(&status), "{status}");
            assert_eq!(ask(BINARY, good.into()).await, 0);
        },
    )
    .await;
}

/// By default, nginx buffers an answer. A header of the answer turns the buffering off.
#[tokio::test]
async fn answers_tell_a_proxy_not_to_buffer_them() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            let run_id = run["agent_run_id"].as_str().unwrap();
            let ask = v1::StreamRunRequest {
                agent_run_id: run_id.to_owned(),
                after_sequence: 0,
                ..Default::default()
            };
            let web = caller.request("POST", "/runyard.v1.RunService/StreamRun");
            let web = web.header("content-type", BINARY).body(framed(&ask.encode_to_vec()));
            let web = web.send().await.unwrap();
            assert_eq!(web.headers()["x-accel-buffering"], "no");
            let events = caller.request("GET", &format!("/agent-run/{run_id}/stream"));
            assert_eq!(events.send().await.unwrap().headers()["x-accel-buffering"], "no");
        },
    )
    .await;
}

/// Some clients do not percent-decode `grpc-message`, so the server escapes as few characters as possible.
#[tokio::test]
async fn a_refusal_message_is_readable_without_decoding() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let ask = async |name: &str| {
                let ask = v1::UpdateThreadRequest {
                    thread_id: name.to_owned(),
                    ..Default::default()
                };
                let request = caller.request("POST", "/runyard.v1.ThreadService/UpdateThread");
                let request = request
                    .header("content-type", BINARY)
                    .body(framed(&ask.encode_to_vec()));
                let answer = request.send().await.unwrap();
                let message = answer.headers()["grpc-message"].to_str().unwrap().to_owned();
                (
                    message,
                    tonic::Status::from_header_map(answer.headers())
                        .unwrap()
                        .message()
                        .to_owned(),
                )
            };
            let (raw, decoded) = ask("x").await;
            assert!(raw.contains(' ') && !raw.contains('%'), "{raw}");
            assert_eq!(raw, decoded);
            let request = caller.request("POST", "/runyard.v1.ThreadService/UpdateThread");
            let unsigned = server
                .http
                .post(request.build().unwrap().url().clone())
                .header("content-type", BINARY);
            let refused = unsigned.send().await.unwrap();
            assert_eq!(refused.headers()["grpc-message"], "Not authenticated");
        },
    )
    .await;
}

/// connect-go reads the gRPC status of a response only if the response has a gRPC-Web content type.
#[tokio::test]
async fn a_refusal_before_the_service_has_the_content_type_of_grpc_web() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let empty = framed(&v1::ListAgentsRequest::default().encode_to_vec());
            for (kind, body) in [(BINARY, empty.clone()), (TEXT, STANDARD.encode(&empty).into_bytes())] {
                let call = async |token: &str| {
                    let request = server.http.post(server.url("/runyard.v1.AgentService/ListAgents"));
                    let request = request.bearer_auth(token).header("content-type", kind);
                    let answer = request.header("accept", kind).body(body.clone()).send().await.unwrap();
                    let header = |name: &str| {
                        answer
                            .headers()
                            .get(name)
                            .map(|value| value.to_str().unwrap().to_owned())
                    };
                    (header("content-type"), header("grpc-status"))
                };
                assert_eq!(call(&caller.token).await, (Some(kind.to_owned()), None));
                let refused = (Some(kind.to_owned()), Some("16".to_owned()));
                assert_eq!(call("a.b.c").await, refused);
            }
        },
    )
    .await;
}
