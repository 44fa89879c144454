//! Tests of responses that consist of a single message or of raw bytes.

use bytes::Bytes;
use futures::FutureExt;
use runyard_transcode::response::{HTTP_CONTENT_LENGTH, HTTP_CONTENT_TYPE, HTTP_STATUS};
use serde_json::json;
use tonic::Status;

use super::service::{Answer, TranscoderServer, library, message, stream};

#[tokio::test]
async fn each_service_answers_in_its_own_dialect() {
    let server = TranscoderServer::answering(json!({"binding": "BINDING_LEATHER"})).await;
    assert_eq!(server.get("/by-id/b").await.body, r#"{"binding":"BINDING_LEATHER"}"#);
    let told = server.get("/v1/reading/r").await;
    assert_eq!(told.body, r#"{"reading_id":"","title":null,"binding":"leather"}"#);
}

#[tokio::test]
async fn an_empty_message_is_an_empty_object() {
    let server = TranscoderServer::answering(json!({})).await;
    let told = server.send(server.request("DELETE", "/books/b")).await;
    assert_eq!((told.status, told.body.as_str()), (200, "{}"));
}

#[tokio::test]
async fn a_response_body_rule_prints_only_that_field() {
    let server = TranscoderServer::answering(json!({"titles": ["A", "B"], "books": [{}]})).await;
    assert_eq!(server.get("/titles").await.body, r#"["A","B"]"#);
    let server = TranscoderServer::answering(json!({})).await;
    assert_eq!(server.get("/titles").await.body, "[]");
}

#[tokio::test]
async fn an_http_body_message_is_sent_as_raw_bytes() {
    let server = TranscoderServer::answering(json!({"content_type": "text/css", "data": "YQBi"})).await;
    let told = server.get("/pages/a/b%20c").await;
    assert_eq!((told.status, told.body.as_str()), (200, "a\0b"));
    assert_eq!(
        (told.header("content-type"), told.header("content-length")),
        ("text/css", "3")
    );
    assert_eq!(server.asked_message(), json!({"path": "a/b c"}));
    let server = TranscoderServer::answering(json!({"data": "YQ=="})).await;
    assert_eq!(
        server.get("/pages/a").await.header("content-type"),
        "application/octet-stream"
    );
}

async fn download(
    metadata: &'static [(&'static str, &'static str)],
    pieces: &'static [Result<&'static str, ()>],
) -> TranscoderServer {
    let pool = library();
    let known = pool.clone();
    TranscoderServer::open(pool, None, move |_| {
        let known = known.clone();
        let messages = pieces.iter().enumerate().map(move |(index, piece)| match piece {
            Ok(text) => {
                let content_type = if index == 0 { "text/plain" } else { "" };
                let data = text.bytes().map(u32::from).collect::<Vec<_>>();
                let data = base64(&data);
                Ok(message(
                    &known,
                    "DownloadPage",
                    &json!({"content_type": content_type, "data": data}),
                ))
            }
            Err(()) => Err(Status::unavailable("the disk is unavailable")),
        });
        let messages: Vec<Result<Bytes, Status>> = messages.collect();
        let mut answer: Answer = stream(futures::stream::iter(messages));
        answer.metadata = metadata.to_vec();
        async move { Ok(answer) }.boxed()
    })
    .await
}

fn base64(bytes: &[u32]) -> String {
    use base64::Engine;
    let bytes: Vec<u8> = bytes.iter().map(|&byte| u8::try_from(byte).unwrap()).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[tokio::test]
async fn a_streamed_http_body_is_concatenated() {
    let server = download(&[], &[Ok("one "), Ok("two "), Ok(""), Ok("three")]).await;
    let told = server.get("/downloads/a").await;
    assert_eq!((told.status, told.body.as_str()), (200, "one two three"));
    assert_eq!(told.header("content-type"), "text/plain");
    let server = download(&[], &[]).await;
    let told = server.get("/downloads/a").await;
    assert_eq!((told.status, told.body.as_str()), (200, ""));
}

#[tokio::test]
async fn allowed_metadata_becomes_response_headers() {
    let server = download(
        &[
            (HTTP_STATUS, "206"),
            (HTTP_CONTENT_TYPE, "image/svg+xml"),
            (HTTP_CONTENT_LENGTH, "3"),
            ("content-range", "bytes 0-2/10"),
            ("etag", "\"e\""),
            ("accept-ranges", "bytes"),
            ("last-modified", "Fri, 15 Aug 2025 10:30:00 GMT"),
            ("content-disposition", "attachment; filename=\"a\""),
            ("x-content-type-options", "nosniff"),
            ("x-internal", "secret"),
        ],
        &[Ok("abc")],
    )
    .await;
    let told = server.get("/downloads/a").await;
    assert_eq!((told.status, told.body.as_str()), (206, "abc"));
    for (name, value) in [
        ("content-type", "image/svg+xml"),
        ("content-length", "3"),
        ("content-range", "bytes 0-2/10"),
        ("etag", "\"e\""),
        ("accept-ranges", "bytes"),
        ("last-modified", "Fri, 15 Aug 2025 10:30:00 GMT"),
        ("content-disposition", "attachment; filename=\"a\""),
        ("x-content-type-options", "nosniff"),
        ("x-internal", ""),
        ("x-http-status", ""),
    ] {
        assert_eq!(told.header(name), value, "{name}");
    }
    let told = server.send(server.request("HEAD", "/downloads/a")).await;
    assert_eq!(
        (told.status, told.header("content-length"), told.body.as_str()),
        (206, "3", "")
    );

    let server = download(&[(HTTP_STATUS, "304"), ("etag", "\"e\"")], &[]).await;
    let told = server.get("/downloads/a").await;
    assert_eq!(
        (told.status, told.header("etag"), told.body.as_str()),
        (304, "\"e\"", "")
    );
    let server = download(&[(HTTP_STATUS, "416"), ("content-range", "bytes */10")], &[]).await;
    let told = server.get("/downloads/a").await;
    assert_eq!((told.status, told.header("content-range")), (416, "bytes */10"));
    // A service can set only the statuses 200, 201, 202, 204, 206, 304 and 416, so it cannot redirect a client.
    let server = download(&[(HTTP_STATUS, "301")], &[Ok("x")]).await;
    assert_eq!(server.get("/downloads/a").await.status, 200);
}

#[tokio::test]
async fn a_failing_download_is_an_error_or_is_aborted() {
    let server = download(&[], &[Err(())]).await;
    let told = server.get("/downloads/a").await;
    assert_eq!(
        told.refusal(),
        (503, "UNAVAILABLE", r#"{"detail":"the disk is unavailable"}"#)
    );
    let server = download(&[], &[Ok("one"), Err(())]).await;
    // The client gets the error before or after the headers, and never accepts the partial body as complete.
    let read = async { server.request("GET", "/downloads/a").send().await?.bytes().await };
    assert!(read.await.is_err(), "a partial body was read as complete");
}

#[tokio::test]
async fn an_undecodable_answer_is_an_internal_error() {
    let server = TranscoderServer::open(library(), None, |_| {
        async { Ok(stream(futures::stream::iter([Ok(Bytes::from_static(b"\xff\xff"))]))) }.boxed()
    })
    .await;
    let told = server.get("/by-id/b").await;
    assert_eq!((told.status, told.header("x-error-code")), (500, "INTERNAL"));
    // Positive control: zero bytes are a valid message.
    let server = TranscoderServer::answering(json!({})).await;
    assert_eq!(server.get("/by-id/b").await.status, 200);
}
