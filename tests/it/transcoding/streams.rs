//! Tests of server-sent events and newline-delimited JSON: heartbeats, errors and back-pressure.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use runyard::{Error, error::Code};
use runyard_transcode::response::HTTP_STATUS;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tonic::Status;

use super::service::{TranscoderServer, library, message, stream, until};

type Event = Result<Value, Status>;

/// Starts a test server whose stream sends the events from the returned channel. The stream ends when the test drops
/// the sender.
async fn telling() -> (TranscoderServer, mpsc::Sender<Event>) {
    let (tell, told) = mpsc::channel::<Event>(16);
    let told = Arc::new(Mutex::new(Some(told)));
    let pool = library();
    let known = pool.clone();
    let server = TranscoderServer::open(pool, None, move |_| {
        let known = known.clone();
        let told = told.lock().unwrap().take().expect("one stream");
        let events = tokio_stream::wrappers::ReceiverStream::new(told);
        let messages = events.map(move |event| event.map(|event| message(&known, "Follow", &event)));
        async move { Ok(stream(messages)) }.boxed()
    })
    .await;
    (server, tell)
}

async fn saying(metadata: &'static [(&'static str, &'static str)], events: Vec<Event>) -> TranscoderServer {
    let pool = library();
    let known = pool.clone();
    TranscoderServer::open(pool, None, move |_| {
        let messages: Vec<Result<Bytes, Status>> = events
            .iter()
            .map(|event| event.clone().map(|event| message(&known, "Follow", &event)))
            .collect();
        let mut answer = stream(futures::stream::iter(messages));
        answer.metadata = metadata.to_vec();
        async move { Ok(answer) }.boxed()
    })
    .await
}

fn turned(sequence: i64) -> Value {
    json!({"sequence": sequence, "page_turned": {"number": 7}})
}

/// Returns the next chunk of the body that is not a heartbeat.
async fn next(response: &mut reqwest::Response) -> Option<String> {
    let waiting = async {
        loop {
            let piece = response.chunk().await.unwrap()?;
            let text = String::from_utf8(piece.to_vec()).unwrap();
            if text != ":\n\n" {
                return Some(text);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap()
}

#[tokio::test]
async fn events_have_an_id_a_name_and_data() {
    let server = saying(
        &[],
        vec![
            Ok(turned(1)),
            Ok(json!({"sequence": 2, "closed": "a\nb"})),
            Ok(json!({})),
        ],
    )
    .await;
    let told = server.get("/v1/reading/r/stream").await;
    assert_eq!(told.status, 200);
    assert_eq!(told.header("content-type"), "text/event-stream; charset=utf-8");
    assert_eq!(told.header("cache-control"), "no-cache");
    assert_eq!(told.header("x-accel-buffering"), "no");
    assert_eq!(
        told.body,
        "id: 1\nevent: page_turned\ndata: {\"sequence\":1,\"page_turned\":{\"number\":7,\"text\":null}}\n\n\
         id: 2\nevent: closed\ndata: {\"sequence\":2,\"closed\":\"a\\nb\"}\n\n\
         :\n\n",
        "an event without a oneof member is sent as a heartbeat"
    );
}

#[tokio::test]
async fn ndjson_is_selected_by_the_accept_header() {
    for (accept, is_lines) in [
        ("application/x-ndjson", true),
        ("text/html, Application/X-NDJSON;q=0.9", true),
        ("text/event-stream", false),
        ("*/*", false),
        ("application/json", false),
    ] {
        let server = saying(&[], vec![Ok(turned(1)), Ok(turned(2))]).await;
        let told = server
            .send(server.request("GET", "/reading/r/stream").header("accept", accept))
            .await;
        assert_eq!(
            told.header("content-type") == "application/x-ndjson",
            is_lines,
            "{accept}"
        );
        if is_lines {
            let line =
                |number: i32| format!("{{\"sequence\":{number},\"page_turned\":{{\"number\":7,\"text\":null}}}}\n");
            assert_eq!(told.body, line(1) + &line(2));
        }
    }
}

#[tokio::test]
async fn a_stream_sends_headers_and_heartbeats_before_its_first_event() {
    let (server, tell) = telling().await;
    let mut response = server.request("GET", "/reading/r/stream").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.chunk().await.unwrap().unwrap(), ":\n\n");
    tell.send(Ok(turned(1))).await.unwrap();
    assert!(next(&mut response).await.unwrap().starts_with("id: 1\n"));
    tell.send(Ok(turned(2))).await.unwrap();
    assert!(next(&mut response).await.unwrap().starts_with("id: 2\n"));
    drop(tell);
    assert_eq!(next(&mut response).await, None);
}

#[tokio::test]
async fn a_failure_before_the_first_event_is_an_http_error() {
    let gone = || Status::from(Error::new(Code::RunNotFound, "Run not found"));
    let body = r#"{"detail":"Run not found"}"#;
    // The call fails before it returns a stream.
    let server = TranscoderServer::failing(gone).await;
    assert_eq!(
        server.get("/reading/r/stream").await.refusal(),
        (404, "RUN_NOT_FOUND", body)
    );
    // The stream fails before its first event.
    let server = saying(&[], vec![Err(gone())]).await;
    assert_eq!(
        server.get("/reading/r/stream").await.refusal(),
        (404, "RUN_NOT_FOUND", body)
    );
}

#[tokio::test]
async fn a_failure_during_a_stream_is_a_fault_event() {
    let away = || {
        Err(Status::from(Error::new(
            Code::Unavailable,
            "the journal is unavailable",
        )))
    };
    let server = saying(&[], vec![Ok(turned(1)), away()]).await;
    let told = server.get("/reading/r/stream").await;
    assert_eq!(told.status, 200);
    let end = "\n\nevent: fault\ndata: {\"detail\":\"the journal is unavailable\"}\n\n";
    assert!(
        told.body.starts_with("id: 1\n") && told.body.ends_with(end),
        "{}",
        told.body
    );

    let server = saying(&[], vec![Ok(turned(1)), away()]).await;
    let request = server
        .request("GET", "/reading/r/stream")
        .header("accept", "application/x-ndjson");
    let told = server.send(request).await;
    let last = told.body.lines().last().unwrap();
    assert_eq!(last, r#"{"fault":{"detail":"the journal is unavailable"}}"#);

    // The stream fails after the client has connected.
    let (server, tell) = telling().await;
    let mut response = server.request("GET", "/reading/r/stream").send().await.unwrap();
    tell.send(away()).await.unwrap();
    assert_eq!(next(&mut response).await.unwrap(), end.trim_start());
    assert_eq!(next(&mut response).await, None);
}

#[tokio::test]
async fn a_cursor_at_the_end_is_answered_with_no_content() {
    let server = saying(&[(HTTP_STATUS, "204")], vec![]).await;
    let told = server.get("/reading/r/stream?last_id=9").await;
    assert_eq!(
        (told.status, told.body.as_str(), told.header("content-type")),
        (204, "", "")
    );
    // Control: if the service does not set the status 204, an empty stream is a valid stream.
    let server = saying(&[], vec![]).await;
    let told = server.get("/reading/r/stream").await;
    assert_eq!((told.status, told.body.as_str()), (200, ""));
}

#[tokio::test]
async fn a_reader_that_disconnects_ends_the_service_stream() {
    let (server, tell) = telling().await;
    let mut response = server.request("GET", "/reading/r/stream").send().await.unwrap();
    tell.send(Ok(turned(1))).await.unwrap();
    assert!(next(&mut response).await.is_some());
    assert!(!tell.is_closed());
    drop(response);
    until("the stream is dropped", || tell.is_closed()).await;
}

#[tokio::test]
async fn a_slow_reader_slows_the_stream_down() {
    let (server, tell) = telling().await;
    let mut response = server.request("GET", "/reading/r/stream").send().await.unwrap();
    let text = "x".repeat(64 * 1024);
    // The client does not read. When the socket buffers are full, the service must wait before it sends more.
    let mut sent = 0_i64;
    loop {
        let event = Ok(json!({"sequence": sent + 1, "closed": text}));
        match tokio::time::timeout(Duration::from_millis(500), tell.send(event)).await {
            Ok(result) => result.unwrap(),
            Err(_) => break,
        }
        sent += 1;
        assert!(sent < 2000, "the stream is not held back");
    }
    drop(tell);
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.unwrap() {
        body.extend_from_slice(&piece);
    }
    let body = String::from_utf8(body).unwrap();
    let ids: Vec<i64> = body
        .lines()
        .filter_map(|line| line.strip_prefix("id: ")?.parse().ok())
        .collect();
    assert_eq!(ids, (1..=sent).collect::<Vec<_>>());
}
