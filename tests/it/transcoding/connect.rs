//! Tests of the Connect protocol: unary calls and streams in JSON and binary, with the specified errors and headers.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use bytes::{Buf, Bytes};
use futures::{FutureExt, stream as items};
use http::HeaderMap;
use prost::Message;
use runyard::{Error, error::Code};
use runyard_transcode::compression::{Encoding, MIN_BYTES};
use serde_json::{Value, json};
use tonic::Status;

use super::service::{Answer, MAX_BODY, TranscoderServer, library, message, one, stream};

const JSON: &str = "application/json";
const PROTO: &str = "application/proto";
const JSON_STREAM: &str = "application/connect+json";
const PROTO_STREAM: &str = "application/connect+proto";

#[derive(Debug)]
struct Received {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    fn refusal(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), JSON, "{self:?}");
        (self.status, self.json()["code"].as_str().unwrap().to_owned())
    }

    /// Returns the messages of a stream, and the content of its last envelope.
    #[track_caller]
    fn envelopes(&self) -> (Vec<(u8, Bytes)>, Value) {
        let mut rest = self.body.clone();
        let mut messages = Vec::new();
        loop {
            let (flags, length) = (rest.get_u8(), rest.get_u32() as usize);
            let message = rest.split_to(length);
            if flags & 2 != 0 {
                assert!(rest.is_empty(), "the last envelope ends the body");
                return (messages, serde_json::from_slice(&message).unwrap());
            }
            messages.push((flags, message));
        }
    }
}

struct Client<'s> {
    server: &'s TranscoderServer,
    headers: Vec<(&'static str, &'static str)>,
}

impl Client<'_> {
    async fn post(&self, method: &str, kind: &str, body: impl Into<reqwest::Body>) -> Received {
        let request = self.server.request("POST", &format!("/library.v1.{method}"));
        let mut request = request.header("content-type", kind);
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        let response = request.body(body).send().await.unwrap();
        Received {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap(),
        }
    }
}

fn client(server: &TranscoderServer) -> Client<'_> {
    with(server, &[])
}

fn with<'s>(server: &'s TranscoderServer, headers: &[(&'static str, &'static str)]) -> Client<'s> {
    Client {
        server,
        headers: headers.to_vec(),
    }
}

fn enveloped(flags: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flags][..], &length, message].concat()
}

/// The message `GetBookRequest` of `library.proto`, with only the field `book_id`.
#[derive(Clone, PartialEq, prost::Message)]
struct ById {
    #[prost(string, tag = "2")]
    book_id: String,
}

fn by_id(book_id: &str) -> Vec<u8> {
    let book_id = book_id.to_owned();
    ById { book_id }.encode_to_vec()
}

#[tokio::test]
async fn a_unary_call_has_the_same_answer_in_json_and_in_binary() {
    let book = json!({"bookId": "b1", "pages": "7", "binding": "BINDING_PAPER"});
    let server = TranscoderServer::answering(book.clone()).await;
    let told = client(&server)
        .post("Shelves/GetBook", JSON, r#"{"bookId": "b1"}"#)
        .await;
    assert_eq!((told.status, told.header("content-type")), (200, JSON));
    assert_eq!(told.json(), book);
    assert_eq!(server.asked_message(), json!({"book_id": "b1"}));

    let told = client(&server).post("Shelves/GetBook", PROTO, by_id("b1")).await;
    assert_eq!((told.status, told.header("content-type")), (200, PROTO));
    assert_eq!(told.body, message(&library(), "GetBook", &book));
    assert_eq!(server.asked_message(), json!({"book_id": "b1"}));

    // An empty message is zero bytes in binary and `{}` in JSON. An empty JSON body is refused.
    assert_eq!(client(&server).post("Shelves/GetBook", PROTO, "").await.status, 200);
    assert_eq!(client(&server).post("Shelves/GetBook", JSON, "{}").await.status, 200);
    let told = client(&server).post("Shelves/GetBook", JSON, "").await;
    assert_eq!(told.refusal(), (400, "invalid_argument".to_owned()));
}

/// Connect clients expect canonical JSON, even if the HTTP API of the service uses another dialect.
#[tokio::test]
async fn json_is_canonical_for_every_service() {
    let server = TranscoderServer::answering(json!({"readingId": "r1", "binding": "BINDING_LEATHER"})).await;
    let told = client(&server)
        .post(
            "Desk/GetReading",
            "application/json; charset=utf-8",
            r#"{"readingId": "r1"}"#,
        )
        .await;
    assert_eq!(told.json(), json!({"readingId": "r1", "binding": "BINDING_LEATHER"}));
    let http = server.get("/reading/r1").await;
    assert_eq!(http.body, r#"{"reading_id":"r1","title":null,"binding":"leather"}"#);
}

#[tokio::test]
async fn each_code_has_its_name_and_http_status() {
    const CODES: [(u16, &str); 16] = [
        (499, "canceled"),
        (500, "unknown"),
        (400, "invalid_argument"),
        (504, "deadline_exceeded"),
        (404, "not_found"),
        (409, "already_exists"),
        (403, "permission_denied"),
        (429, "resource_exhausted"),
        (400, "failed_precondition"),
        (409, "aborted"),
        (400, "out_of_range"),
        (501, "unimplemented"),
        (500, "internal"),
        (503, "unavailable"),
        (500, "data_loss"),
        (401, "unauthenticated"),
    ];
    let server = TranscoderServer::failing_with(|number| {
        let mut status = Status::new(i32::try_from(number).unwrap().into(), "the message");
        status.metadata_mut().insert("x-hint", "later".parse().unwrap());
        status
    })
    .await;
    for (number, (http, name)) in (1..).zip(CODES) {
        for (kind, body) in [
            (JSON, format!(r#"{{"bookId": "{number}"}}"#).into_bytes()),
            (PROTO, by_id(&number.to_string())),
        ] {
            let told = client(&server).post("Shelves/GetBook", kind, body).await;
            assert_eq!(told.refusal(), (http, name.to_owned()));
            assert_eq!(told.json(), json!({"code": name, "message": "the message"}));
            assert_eq!(told.header("x-hint"), "later");
        }
    }
}

#[tokio::test]
async fn an_error_has_its_details() {
    let server = TranscoderServer::failing(|| Error::new(Code::ThreadBusy, "the thread is busy").into()).await;
    let told = client(&server).post("Shelves/GetBook", JSON, "{}").await;
    assert_eq!(told.refusal(), (400, "failed_precondition".to_owned()));
    let detail = told.json()["details"][0].clone();
    assert_eq!(detail["type"], "google.rpc.ErrorInfo");
    let value = STANDARD_NO_PAD.decode(detail["value"].as_str().unwrap()).unwrap();
    let info = tonic_types::pb::ErrorInfo::decode(value.as_slice()).unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("THREAD_BUSY", "runyard"));

    // If a stream fails before its first message, its last envelope contains the error.
    let told = client(&server)
        .post("Desk/Follow", JSON_STREAM, enveloped(0, br#"{"readingId": "r"}"#))
        .await;
    assert_eq!((told.status, told.header("content-type")), (200, JSON_STREAM));
    let (messages, end) = told.envelopes();
    assert!(messages.is_empty());
    assert_eq!(end["error"]["code"], "failed_precondition");
    assert_eq!(end["error"]["details"][0], detail);
}

#[tokio::test]
async fn invalid_requests_are_refused_in_the_form_of_the_protocol() {
    let server = TranscoderServer::answering(json!({})).await;
    let told = client(&server).post("Shelves/GetBook", JSON, r#"{"nope": 1}"#).await;
    assert_eq!(told.refusal(), (400, "invalid_argument".to_owned()));
    assert_eq!(told.json()["message"], "nope: unknown field");
    let details = told.json()["details"].clone();
    let types: Vec<_> = details
        .as_array()
        .unwrap()
        .iter()
        .map(|detail| &detail["type"])
        .collect();
    assert_eq!(types, ["google.rpc.ErrorInfo", "google.rpc.BadRequest"]);

    let large = format!(r#"{{"name": "{}"}}"#, "x".repeat(MAX_BODY));
    let told = client(&server).post("Shelves/GetBook", JSON, large).await;
    assert_eq!(told.refusal(), (429, "resource_exhausted".to_owned()));
    for kind in [JSON, PROTO] {
        let told = client(&server).post("Shelves/Nothing", kind, "{}").await;
        assert_eq!(told.refusal(), (501, "unimplemented".to_owned()));
    }
    // The content type distinguishes streams from unary calls, so a method accepts only the content types of its
    // kind.
    for (method, kind) in [
        ("Desk/Follow", JSON),
        ("Desk/Follow", PROTO),
        ("Shelves/GetBook", JSON_STREAM),
        ("Shelves/GetBook", PROTO_STREAM),
        ("Desk/Follow", "application/connect+xml"),
    ] {
        let told = client(&server).post(method, kind, "{}").await;
        assert_eq!(told.status, 415, "{method} {kind}");
        assert!(told.header("accept-post").contains(JSON_STREAM));
    }
    let request = server.request("GET", "/library.v1.Desk/Follow");
    let told = server.send(request.header("content-type", JSON_STREAM)).await;
    assert_eq!((told.status, told.header("allow")), (405, "POST"));
    assert!(server.asked().is_empty());
    assert_eq!(client(&server).post("Shelves/GetBook", JSON, "{}").await.status, 200);
}

#[tokio::test]
async fn the_headers_of_the_protocol_are_checked_and_converted() {
    let server = TranscoderServer::answering(json!({})).await;
    for (timeout, converted) in [
        ("0", Some("0m")),
        ("1500", Some("1500m")),
        ("99999999", Some("99999999m")),
        ("9999999999", Some("9999999S")),
        ("10000000000", None),
        ("1.5", None),
        ("-1", None),
        ("", None),
    ] {
        let told = with(
            &server,
            &[("connect-protocol-version", "1"), ("connect-timeout-ms", timeout)],
        )
        .post("Shelves/GetBook", JSON, "{}")
        .await;
        match converted {
            Some(converted) => {
                assert_eq!(told.status, 200, "{timeout}");
                let metadata = server.asked()[0].metadata.clone();
                assert_eq!(metadata["grpc-timeout"], converted);
                assert!(
                    metadata.keys().all(|name| !name.as_str().starts_with("connect-")),
                    "{metadata:?}"
                );
            }
            None => assert_eq!(told.refusal(), (400, "invalid_argument".to_owned()), "{timeout}"),
        }
    }
    let told = with(&server, &[("connect-protocol-version", "2")])
        .post("Shelves/GetBook", JSON, "{}")
        .await;
    assert_eq!(told.refusal(), (400, "invalid_argument".to_owned()));
    assert!(server.asked().is_empty());
    let told = with(&server, &[("authorization", "Bearer t"), ("x-request-id", "r1")])
        .post("Shelves/GetBook", JSON, "{}")
        .await;
    assert_eq!(told.status, 200);
    let metadata = server.asked()[0].metadata.clone();
    assert_eq!(
        (&metadata["authorization"], &metadata["x-request-id"]),
        (&"Bearer t".parse().unwrap(), &"r1".parse().unwrap())
    );
}

#[tokio::test]
async fn messages_may_be_compressed_in_both_directions() {
    let title = "the same words ".repeat(MIN_BYTES);
    let server = TranscoderServer::answering(json!({"title": title})).await;
    for (name, encoding) in [("gzip", Encoding::Gzip), ("zstd", Encoding::Zstd)] {
        let body = encoding.compress(br#"{"bookId": "b1"}"#).unwrap();
        let told = with(&server, &[("content-encoding", name), ("accept-encoding", name)])
            .post("Shelves/GetBook", JSON, body)
            .await;
        assert_eq!((told.status, told.header("content-encoding")), (200, name));
        assert_eq!(server.asked_message(), json!({"book_id": "b1"}));
        assert!(told.body.len() < title.len() / 4);
        let body = encoding.decompress(&told.body, MAX_BODY).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), json!({"title": title}));

        // A small compressed message may become a large message, which is refused.
        let bomb = encoding.compress(&vec![b' '; MAX_BODY + 1]).unwrap();
        assert!(bomb.len() < 1000);
        let told = with(&server, &[("content-encoding", name)])
            .post("Shelves/GetBook", JSON, bomb)
            .await;
        assert_eq!(told.refusal(), (429, "resource_exhausted".to_owned()));
        let told = with(&server, &[("content-encoding", name)])
            .post("Shelves/GetBook", JSON, "{}")
            .await;
        assert_eq!(told.refusal(), (400, "invalid_argument".to_owned()));
    }
    // An empty message is not decompressed, even if the header declares a compression.
    let told = with(&server, &[("content-encoding", "gzip")])
        .post("Shelves/GetBook", PROTO, "")
        .await;
    assert_eq!(told.status, 200);
    let told = client(&server).post("Shelves/GetBook", JSON, "{}").await;
    assert_eq!(
        told.header("content-encoding"),
        "",
        "the client does not accept compression"
    );
    let told = with(&server, &[("content-encoding", "br")])
        .post("Shelves/GetBook", JSON, "{}")
        .await;
    assert_eq!(told.refusal(), (501, "unimplemented".to_owned()));
    assert_eq!(told.header("accept-encoding"), "gzip, zstd");

    let server = TranscoderServer::answering(json!({"title": "short"})).await;
    let told = with(&server, &[("accept-encoding", "gzip")])
        .post("Shelves/GetBook", JSON, "{}")
        .await;
    assert_eq!(
        (told.json(), told.header("content-encoding")),
        (json!({"title": "short"}), "")
    );
}

fn turned(sequence: i64, text: &str) -> Value {
    json!({"sequence": sequence.to_string(), "pageTurned": {"number": 1, "text": text}})
}

/// Starts a server whose stream sends a small and a large event, and then fails if `failure` returns a status. Also
/// returns the events.
async fn following(failure: impl Fn() -> Option<Status> + Send + Sync + 'static) -> (TranscoderServer, Vec<Value>) {
    let events = vec![turned(1, "short"), turned(2, &"long ".repeat(MIN_BYTES))];
    let pool = library();
    let sent: Vec<Bytes> = events.iter().map(|event| message(&pool, "Follow", event)).collect();
    let server = TranscoderServer::open(pool, None, move |_| {
        let sent = sent.clone().into_iter().map(Ok);
        let answer = Answer {
            metadata: vec![("x-first", "yes")],
            ..stream(items::iter(sent.chain(failure().map(Err)).collect::<Vec<_>>()))
        };
        async move { Ok(answer) }.boxed()
    })
    .await;
    (server, events)
}

#[tokio::test]
async fn a_stream_has_its_messages_in_envelopes_and_then_its_end() {
    let (server, events) = following(|| None).await;
    let told = client(&server)
        .post(
            "Desk/Follow",
            JSON_STREAM,
            enveloped(0, br#"{"readingId": "r", "afterSequence": "0"}"#),
        )
        .await;
    assert_eq!((told.status, told.header("content-type")), (200, JSON_STREAM));
    assert_eq!(
        (told.header("x-first"), told.header("x-accel-buffering")),
        ("yes", "no")
    );
    let (messages, end) = told.envelopes();
    let received: Vec<Value> = messages
        .iter()
        .map(|(flags, message)| {
            assert_eq!(*flags, 0);
            serde_json::from_slice(message).unwrap()
        })
        .collect();
    assert_eq!((received, end), (events.clone(), json!({})));
    assert_eq!(server.asked_message(), json!({"reading_id": "r"}));

    let told = client(&server)
        .post("Desk/Follow", PROTO_STREAM, enveloped(0, b"\x0a\x01r"))
        .await;
    assert_eq!((told.status, told.header("content-type")), (200, PROTO_STREAM));
    let (messages, end) = told.envelopes();
    let sent: Vec<_> = events
        .iter()
        .map(|event| (0, message(&library(), "Follow", event)))
        .collect();
    assert_eq!((messages, end), (sent, json!({})));
    assert_eq!(server.asked_message(), json!({"reading_id": "r"}));
}

#[tokio::test]
async fn a_stream_that_fails_later_has_the_failure_in_its_end() {
    let failure = || {
        let mut status = Status::unavailable("the shelf is gone");
        status.metadata_mut().append("x-hint", "one".parse().unwrap());
        status.metadata_mut().append("x-hint", "two".parse().unwrap());
        Some(status)
    };
    let (server, events) = following(failure).await;
    for (kind, request) in [(JSON_STREAM, enveloped(0, b"{}")), (PROTO_STREAM, enveloped(0, b""))] {
        let (messages, end) = client(&server).post("Desk/Follow", kind, request).await.envelopes();
        assert_eq!(messages.len(), events.len());
        let expected = json!({
            "error": {"code": "unavailable", "message": "the shelf is gone"},
            "metadata": {"x-hint": ["one", "two"]},
        });
        assert_eq!(end, expected, "{kind}");
    }
}

#[tokio::test]
async fn the_messages_of_a_stream_may_be_compressed() {
    let (server, events) = following(|| None).await;
    for (name, encoding) in [("gzip", Encoding::Gzip), ("zstd", Encoding::Zstd)] {
        let packed = encoding.compress(br#"{"readingId": "r"}"#).unwrap();
        let told = with(
            &server,
            &[("connect-content-encoding", name), ("connect-accept-encoding", name)],
        )
        .post("Desk/Follow", JSON_STREAM, enveloped(1, &packed))
        .await;
        assert_eq!(told.header("connect-content-encoding"), name);
        assert_eq!(server.asked_message(), json!({"reading_id": "r"}));
        let (messages, _) = told.envelopes();
        let flags: Vec<u8> = messages.iter().map(|(flags, _)| *flags).collect();
        assert_eq!(flags, [0, 1], "only large messages are compressed");
        let large = encoding.decompress(&messages[1].1, MAX_BODY).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&large).unwrap(), events[1]);

        let packed = encoding.compress(b"\x0a\x01r").unwrap();
        let told = with(&server, &[("connect-content-encoding", name)])
            .post("Desk/Follow", PROTO_STREAM, enveloped(1, &packed))
            .await;
        assert_eq!(told.envelopes().0.len(), 2);
        assert_eq!(server.asked_message(), json!({"reading_id": "r"}));

        let bomb = encoding.compress(&vec![b' '; MAX_BODY + 1]).unwrap();
        let told = with(&server, &[("connect-content-encoding", name)])
            .post("Desk/Follow", JSON_STREAM, enveloped(1, &bomb))
            .await;
        assert_eq!(told.envelopes().1["error"]["code"], "resource_exhausted");
    }
    for (encoding, flags, code) in [("br", 1, "unimplemented"), ("identity", 1, "invalid_argument")] {
        for (kind, request) in [(JSON_STREAM, b"{}".as_slice()), (PROTO_STREAM, b"")] {
            let told = with(&server, &[("connect-content-encoding", encoding)])
                .post("Desk/Follow", kind, enveloped(flags, request))
                .await;
            let (_, end) = told.envelopes();
            // For a message that cannot be decoded, tonic returns `internal`. Runyard's server replaces this code,
            // but the server of this test does not.
            let known = [code, if kind == PROTO_STREAM { "internal" } else { code }];
            assert!(
                known.contains(&end["error"]["code"].as_str().unwrap()),
                "{encoding} {kind}: {end}"
            );
        }
    }
}

#[tokio::test]
async fn the_request_of_a_stream_is_exactly_one_message() {
    let (server, _) = following(|| None).await;
    let whole = enveloped(0, b"{}");
    for body in [
        Vec::new(),
        whole[..3].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        [whole.clone(), whole.clone()].concat(),
        enveloped(2, b"{}"),
        enveloped(0, b""),
    ] {
        let told = client(&server).post("Desk/Follow", JSON_STREAM, body.clone()).await;
        assert_eq!((told.status, told.header("content-type")), (200, JSON_STREAM));
        let (messages, end) = told.envelopes();
        assert_eq!(
            (messages.len(), &end["error"]["code"]),
            (0, &json!("invalid_argument")),
            "{body:?}"
        );
    }
    let large = vec![b' '; MAX_BODY + 1];
    let told = client(&server)
        .post("Desk/Follow", JSON_STREAM, enveloped(0, &large))
        .await;
    assert_eq!(told.envelopes().1["error"]["code"], "resource_exhausted");
    assert!(server.asked().is_empty());
    let told = client(&server).post("Desk/Follow", JSON_STREAM, whole).await;
    assert_eq!(told.envelopes().0.len(), 2);
}

#[tokio::test]
async fn a_stream_sends_each_message_at_once() {
    let (more, rest) = tokio::sync::mpsc::unbounded_channel::<Result<Bytes, Status>>();
    let rest = std::sync::Mutex::new(Some(rest));
    let server = TranscoderServer::open(library(), None, move |_| {
        let rest = rest.lock().unwrap().take().unwrap();
        let rest = items::unfold(rest, async |mut rest| Some((rest.recv().await?, rest)));
        async move { Ok(stream(rest)) }.boxed()
    })
    .await;
    let request = server
        .request("POST", "/library.v1.Desk/Follow")
        .header("content-type", JSON_STREAM)
        .body(enveloped(0, b"{}"));
    let mut response = request.send().await.unwrap();
    for sequence in 1..=3 {
        more.send(Ok(message(&library(), "Follow", &turned(sequence, "x"))))
            .unwrap();
        let chunk = response.chunk().await.unwrap().unwrap();
        let event: Value = serde_json::from_slice(&chunk[5..]).unwrap();
        assert_eq!(event["sequence"], sequence.to_string());
    }
    drop(more);
    assert_eq!(response.chunk().await.unwrap().unwrap(), enveloped(2, b"{}"));
    assert_eq!(response.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn bytes_of_files_are_messages_like_any_other() {
    let server = TranscoderServer::open(library(), None, |_| {
        let body = Bytes::from_static(b"\x0a\x0atext/plain\x12\x02hi");
        async move { Ok(one(body)) }.boxed()
    })
    .await;
    let told = client(&server).post("Shelves/GetPage", JSON, "{}").await;
    assert_eq!(told.json(), json!({"contentType": "text/plain", "data": "aGk="}));
    let told = client(&server)
        .post("Shelves/DownloadPage", JSON_STREAM, enveloped(0, b"{}"))
        .await;
    let (messages, _) = told.envelopes();
    let first: Value = serde_json::from_slice(&messages[0].1).unwrap();
    assert_eq!(first["data"], "aGk=");
}
