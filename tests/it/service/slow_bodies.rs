//! Tests that a request body that stalls or arrives one byte at a time is refused over every protocol. Nothing of it
//! is stored.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{Stream, StreamExt, future::join_all, stream};
use prost::Message;
use reqwest::{Body, multipart::Form};
use runyard::v1;
use runyard_upstream::Turn;
use serde_json::json;
use tonic::Status;

use super::call::framed;
use crate::test_server::{Caller, Database, TestServer};

/// A duration that is longer than the body timeout.
const LONG: Duration = Duration::from_secs(50);

/// Returns a body that sends the first bytes, and then one byte per interval without end.
fn drip(first: Bytes, every: Duration) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    let rest = stream::repeat_with(|| Bytes::from_static(b" ")).then(move |byte| async move {
        tokio::time::sleep(every).await;
        byte
    });
    stream::iter([first]).chain(rest).map(Ok)
}

/// Sends a body. Returns the HTTP or gRPC status of the answer, and the time until the answer arrived.
async fn refused(caller: &Caller, kind: &str, path: &str, body: Body) -> (String, Duration) {
    let begun = Instant::now();
    // Each request uses its own connection, with HTTP/2 for gRPC.
    let client = reqwest::Client::builder();
    let client = if kind == "application/grpc" {
        client.http2_prior_knowledge()
    } else {
        client
    };
    let url = caller.request("POST", path).build().unwrap().url().clone();
    let request = client
        .build()
        .unwrap()
        .post(url)
        .bearer_auth(&caller.token)
        .header("content-type", kind);
    let answer = tokio::time::timeout(LONG, request.body(body).send()).await;
    let answer = answer
        .unwrap_or_else(|_| panic!("{kind}: the server did not refuse the body in time"))
        .unwrap();
    let mut status = answer.status().as_u16().to_string();
    if kind.starts_with("application/grpc") {
        status = Status::from_header_map(answer.headers()).map_or(status, |status| format!("{:?}", status.code()));
    }
    (status, begun.elapsed())
}

/// Every request consists of a single message, so the body timeout covers the whole request. A method with a request
/// stream would need a different timeout.
#[test]
fn no_method_takes_a_request_stream() {
    let methods = super::call::methods();
    assert!(methods.iter().any(prost_reflect::MethodDescriptor::is_server_streaming));
    let taking: Vec<_> = methods.iter().filter(|method| method.is_client_streaming()).collect();
    assert!(taking.is_empty(), "{taking:?}");
}

#[tokio::test]
async fn u06_a_stalled_or_dripping_body_is_refused_over_every_protocol() {
    let mut server = TestServer::open(&Database::Sqlite, Turn::text("ok"), |_| {}).await;
    let caller = server.caller("ann");
    let whole = framed(
        &v1::CreateThreadRequest {
            name: Some("a thread".to_owned()),
            ..Default::default()
        }
        .encode_to_vec(),
    );
    let half = Bytes::from(whole[..whole.len() - 2].to_vec());
    let method = "/runyard.v1.ThreadService/CreateThread";
    let form =
        Bytes::from_static(b"--B\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a\"\r\n\r\ncontent");
    let requests = [
        ("application/grpc", method, half.clone(), "InvalidArgument"),
        ("application/grpc-web+proto", method, half, "InvalidArgument"),
        (
            "application/json",
            "/threads",
            Bytes::from_static(b"{\"name\": "),
            "400",
        ),
        ("application/json", method, Bytes::from_static(b"{\"name\": "), "400"),
        ("multipart/form-data; boundary=B", "/agent/start", form, "400"),
    ];
    // A silent body and a body that sends one byte per second must both time out. The slow gRPC frame announces a
    // long message, so that the message is still incomplete at the timeout.
    let long = framed(&vec![0; 1000]);
    let mut refusals = Vec::new();
    for (kind, path, first, expected) in requests {
        let silent = Body::wrap_stream(stream::iter([Ok::<_, std::io::Error>(first.clone())]).chain(stream::pending()));
        let begun = if kind.starts_with("application/grpc") {
            Bytes::from(long[..10].to_vec())
        } else {
            first
        };
        let drips = Body::wrap_stream(drip(begun, Duration::from_secs(1)));
        for (what, body) in [("silent", silent), ("dripping", drips)] {
            let caller = caller.clone();
            refusals.push(async move {
                let (status, after) = refused(&caller, kind, path, body).await;
                assert_eq!(status, expected, "{what}: {kind}");
                assert!(after > Duration::from_secs(25), "{what}: {kind} after {after:?}");
            });
        }
    }
    let slow = async {
        let mut pieces: Vec<Bytes> = whole.chunks(4).map(Bytes::copy_from_slice).collect();
        let last = pieces.pop().unwrap();
        let paced = stream::iter(pieces).chain(stream::iter([last])).then(async |piece| {
            tokio::time::sleep(Duration::from_millis(500)).await;
            Ok::<_, std::io::Error>(piece)
        });
        let (status, _) = refused(&caller, "application/grpc", method, Body::wrap_stream(paced)).await;
        assert_eq!(status, "200", "the headers should carry no error status");
    };
    tokio::join!(join_all(refusals), slow);
    let staged = std::fs::read_dir(server.data_dir().join("uploads")).map_or(0, Iterator::count);
    assert_eq!(staged, 0, "no partial file should remain");
    let threads = caller.get("/threads").await.ok();
    assert_eq!(
        threads["threads"].as_array().unwrap().len(),
        1,
        "only the complete request should create a thread"
    );
    let run = caller.form("/agent/start", Form::new().text("prompt", "x")).await.ok();
    assert_eq!(caller.ended(&run).await["status"], json!("completed"));
    server.stop().await;
}
