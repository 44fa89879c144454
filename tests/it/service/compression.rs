//! Tests of compressed gRPC messages, with gzip or zstd in both directions. The server compresses neither small
//! messages nor file contents.

use bytes::Bytes;
use prost::Message;
use reqwest::Client;
use runyard::v1;
use runyard_transcode::compression::Encoding;
use runyard_upstream::Turn;
use serde_json::json;

use super::call::framed;
use crate::test_server::{Caller, TEST_TIMEOUT, on_every_database, on_every_database_with};

const ENCODINGS: [(&str, Encoding); 2] = [("gzip", Encoding::Gzip), ("zstd", Encoding::Zstd)];

/// Sends a frame over gRPC. Returns the header `grpc-encoding`, and the first message with its compressed flag.
async fn call(
    caller: &Caller,
    method: &str,
    headers: &[(&str, &str)],
    frame: Vec<u8>,
) -> Result<(String, u8, Bytes), tonic::Status> {
    let client = Client::builder().http2_prior_knowledge().build().unwrap();
    let built = caller
        .request("POST", &format!("/runyard.v1.{method}"))
        .build()
        .unwrap();
    let mut request = client
        .post(built.url().clone())
        .bearer_auth(&caller.token)
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .timeout(TEST_TIMEOUT);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.body(frame).send().await.unwrap();
    if let Some(status) = tonic::Status::from_header_map(answer.headers()) {
        return Err(status);
    }
    let encoding = answer.headers().get("grpc-encoding").cloned();
    let encoding = encoding.map_or(String::new(), |name| name.to_str().unwrap().to_owned());
    let mut body = answer.bytes().await.unwrap();
    let head = body.split_to(5);
    let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
    Ok((encoding, head[0], body.split_to(length)))
}

fn compressed(encoding: Encoding, message: &[u8]) -> Vec<u8> {
    let mut frame = framed(&encoding.compress(message).unwrap());
    frame[0] = 1;
    frame
}

#[tokio::test]
async fn requests_may_be_compressed() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let name = "a name ".repeat(10);
            let message = v1::CreateThreadRequest {
                name: Some(name.trim().to_owned()),
                ..Default::default()
            };
            for (header, encoding) in ENCODINGS {
                let frame = compressed(encoding, &message.encode_to_vec());
                let answer = call(
                    &caller,
                    "ThreadService/CreateThread",
                    &[("grpc-encoding", header)],
                    frame,
                )
                .await;
                let (used, flag, thread) = answer.unwrap();
                assert_eq!((used.as_str(), flag), ("", 0), "the client did not accept compression");
                let thread = v1::Thread::decode(thread).unwrap();
                assert_eq!(thread.name, name.trim());

                let invalid = framed(b"not compressed");
                let invalid = [&[1][..], &invalid[1..]].concat();
                let refused = call(
                    &caller,
                    "ThreadService/CreateThread",
                    &[("grpc-encoding", header)],
                    invalid,
                )
                .await;
                assert_eq!(refused.unwrap_err().code(), tonic::Code::InvalidArgument);
            }
        },
    )
    .await;
}

#[tokio::test]
async fn large_messages_of_answers_are_compressed_if_the_client_accepts_it() {
    on_every_database_with(
        |_| Turn::text("x"),
        |config| config.limits = runyard::config::Limits::Off,
        async |server| {
            let caller = server.caller("ann");
            let list = framed(&v1::ListThreadsRequest::default().encode_to_vec());
            let accepted = [("grpc-accept-encoding", "identity, deflate, gzip")];
            let (used, flag, small) = call(&caller, "ThreadService/ListThreads", &accepted, list.clone())
                .await
                .unwrap();
            assert_eq!((used.as_str(), flag), ("gzip", 0), "a small message stays as it is");
            assert!(small.len() < 1024);
            for number in 0..20 {
                let name = format!("thread {number} with a long name {}", "again ".repeat(20));
                caller.post("/threads", json!({"name": name})).await.ok();
            }
            let (_, _, plain) = call(&caller, "ThreadService/ListThreads", &[], list.clone())
                .await
                .unwrap();
            for (header, encoding) in ENCODINGS {
                let accepted = [("grpc-accept-encoding", header)];
                let answer = call(&caller, "ThreadService/ListThreads", &accepted, list.clone()).await;
                let (used, flag, packed) = answer.unwrap();
                assert_eq!((used.as_str(), flag), (header, 1));
                assert!(packed.len() < plain.len() / 2, "{} of {}", packed.len(), plain.len());
                assert_eq!(encoding.decompress(&packed, plain.len()).unwrap(), plain);
            }
        },
    )
    .await;
}

#[tokio::test]
async fn file_contents_are_not_compressed() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let file = reqwest::multipart::Part::bytes(b"the same words ".repeat(1000)).file_name("a.txt");
            let form = reqwest::multipart::Form::new().text("prompt", "x").part("files", file);
            let run = caller.form("/agent/start", form).await.ok();
            caller.ended(&run).await;
            let ask = v1::ReadFileRequest {
                sandbox_id: run["sandbox_id"].as_str().unwrap().to_owned(),
                path: "a.txt".to_owned(),
                ..Default::default()
            };
            let accepted = [("grpc-accept-encoding", "gzip")];
            let frame = framed(&ask.encode_to_vec());
            let (used, flag, _) = call(&caller, "SandboxService/ReadFile", &accepted, frame)
                .await
                .unwrap();
            assert_eq!((used.as_str(), flag), ("", 0));
        },
    )
    .await;
}
