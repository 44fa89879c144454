//! Tests of forms: text parts become message fields, and file parts go to the store. After an error, no file stays in
//! the store.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream::BoxStream};
use http::Extensions;
use reqwest::multipart::{Form, Part};
use runyard::{Error, error::Code};
use runyard_transcode::{self as transcode, FormFiles, MAX_PARTS, Refused};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
};
use tonic::Status;

use super::service::{Caller, MAX_BODY, MAX_FORM, TranscoderServer, library, message, one, until};

/// A store that keeps files in memory and counts the files that are being received.
#[derive(Default)]
struct Store {
    files: Mutex<Vec<(String, String, Vec<u8>)>>,
    receiving: AtomicUsize,
    largest: AtomicUsize,
    next: AtomicUsize,
    max_file: Option<usize>,
}

struct InTheMiddle<'s>(&'s AtomicUsize);

impl Drop for InTheMiddle<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl FormFiles for Store {
    async fn receive(
        &self,
        extensions: &Extensions,
        name: &str,
        mut content: BoxStream<'_, transcode::Result<Bytes>>,
    ) -> Result<String, Refused> {
        assert_eq!(extensions.get(), Some(&Caller("alice")));
        self.receiving.fetch_add(1, Ordering::SeqCst);
        let _guard = InTheMiddle(&self.receiving);
        let mut bytes = Vec::new();
        while let Some(piece) = content.next().await {
            let piece = piece?;
            self.largest.fetch_max(piece.len(), Ordering::SeqCst);
            bytes.extend_from_slice(&piece);
            if self.max_file.is_some_and(|max| bytes.len() > max) {
                let error = Error::new(Code::TooLarge, "the file is larger than the plan allows");
                return Err(Status::from(error).into());
            }
        }
        let id = format!("u{}", self.next.fetch_add(1, Ordering::SeqCst));
        self.files.lock().unwrap().push((id.clone(), name.to_owned(), bytes));
        Ok(id)
    }

    async fn discard(&self, extensions: &Extensions, ids: Vec<String>) {
        assert_eq!(extensions.get(), Some(&Caller("alice")));
        self.files.lock().unwrap().retain(|(id, _, _)| !ids.contains(id));
    }
}

impl Store {
    /// Returns the names and contents of the stored files, in the order in which they arrived.
    fn files(&self) -> Vec<(String, String)> {
        let files = self.files.lock().unwrap();
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        files
            .iter()
            .map(|(_, name, bytes)| (name.clone(), text(bytes)))
            .collect()
    }

    fn is_clean(&self) -> bool {
        self.files.lock().unwrap().is_empty() && self.receiving.load(Ordering::SeqCst) == 0
    }
}

/// Starts a server whose service refuses a request with the prompt "refuse".
async fn server(store: &Arc<Store>) -> TranscoderServer {
    let pool = library();
    let known = pool.clone();
    TranscoderServer::open(pool, Some(Arc::clone(store) as Arc<dyn FormFiles>), move |asked| {
        let answer = match asked.message["prompt"].as_str() {
            Some("refuse") => Err(Status::from(Error::new(Code::ThreadBusy, "the thread is busy"))),
            _ => Ok(one(message(&known, "StartReading", &json!({"reading_id": "r"})))),
        };
        async move { answer }.boxed()
    })
    .await
}

fn file(name: &str, content: impl Into<reqwest::Body>) -> Part {
    Part::stream(content).file_name(name.to_owned())
}

async fn send(server: &TranscoderServer, form: Form) -> super::service::Told {
    server
        .send(server.request("POST", "/reading/start").multipart(form))
        .await
}

#[tokio::test]
async fn form_text_fills_fields_and_files_go_to_the_store() {
    let store = Arc::new(Store::default());
    let server = server(&store).await;
    let form = Form::new()
        .text("prompt", "Summarise – ü\r\n--")
        .part("files", file("data.csv", "a,b\n1,2\n"))
        .text("reader_id", "")
        .part("files", file("../../b \"x\".txt", "second"))
        // A form may contain text parts after files, camelCase names, repeated fields and booleans.
        .text("requestId", "k1")
        .text("topics", "one")
        .text("topics", "two")
        .text("aloud", "false");
    let told = send(&server, form).await;
    assert_eq!(
        (told.status, told.body.as_str()),
        (200, r#"{"reading_id":"r","title":null,"binding":null}"#)
    );
    assert_eq!(
        server.asked_message(),
        json!({
            "prompt": "Summarise – ü\r\n--", "files": ["u0", "u1"], "request_id": "k1", "topics": ["one", "two"],
            "aloud": false,
        })
    );
    let files = store.files();
    assert_eq!(files[0], ("data.csv".to_owned(), "a,b\n1,2\n".to_owned()));
    assert_eq!(files[1].1, "second");
    assert!(
        files[1].0.starts_with("../../b "),
        "the name is passed unchanged: {}",
        files[1].0
    );

    // If the form lacks a field, the server reads the value from the header that is the field's alias.
    let form = Form::new().text("prompt", "p");
    let request = server
        .request("POST", "/v1/reading/start")
        .header("Idempotency-Key", "k2");
    assert_eq!(server.send(request.multipart(form)).await.status, 200);
    assert_eq!(server.asked_message(), json!({"prompt": "p", "request_id": "k2"}));
}

#[tokio::test]
async fn an_invalid_form_is_refused_and_its_files_are_discarded() {
    let store = Arc::new(Store::default());
    let server = server(&store).await;
    let base = || Form::new().part("files", file("kept.txt", "content"));
    for (form, status, code, detail) in [
        (
            base().text("nope", "1"),
            400,
            "INVALID_REQUEST",
            r#"unknown form field \"nope\""#,
        ),
        (
            base().text("prompt", "a").text("prompt", "b"),
            400,
            "INVALID_REQUEST",
            "prompt: given more than once",
        ),
        (
            base().text("files", "data.csv"),
            400,
            "INVALID_REQUEST",
            "files: a file needs a file name; with curl, write -F files=@PATH",
        ),
        (
            base().part("prompt", file("p.jpg", b"\xff\xd8".as_slice())),
            400,
            "INVALID_REQUEST",
            "prompt: must be text, not a file",
        ),
        (
            base().part("file", file("p.txt", "x".repeat(2 * MAX_BODY))),
            400,
            "INVALID_REQUEST",
            r#"unknown form field \"file\"; did you mean \"files\"?"#,
        ),
        (
            base().text("promt", "hi"),
            400,
            "INVALID_REQUEST",
            r#"unknown form field \"promt\"; did you mean \"prompt\"?"#,
        ),
        (
            base().text("prompt[]", "hi"),
            400,
            "INVALID_REQUEST",
            r#"unknown form field \"prompt[]\"; did you mean \"prompt\"?"#,
        ),
        (
            base().part("prompt", Part::bytes(b"\xff".to_vec())),
            400,
            "INVALID_REQUEST",
            "prompt: the text is not UTF-8",
        ),
        (
            base().text("prompt", "refuse"),
            409,
            "THREAD_BUSY",
            "the thread is busy",
        ),
        (
            base().text("prompt", "x".repeat(MAX_BODY + 1)),
            413,
            "TOO_LARGE",
            "the form's text is larger than 65536 bytes",
        ),
    ] {
        let told = send(&server, form).await;
        let body = format!(r#"{{"detail":"{detail}"}}"#);
        assert_eq!(told.refusal(), (status, code, body.as_str()));
        assert!(store.is_clean(), "{detail}: {:?}", store.files());
    }
    let told = send(&server, base().text("aloud", "loud")).await;
    assert_eq!(told.status, 400);
    assert!(told.body.contains("aloud") && store.is_clean());
    // An invalid query parameter is detected only after the files have arrived.
    let told = server
        .send(server.request("POST", "/reading/start?nope=1").multipart(base()))
        .await;
    assert_eq!(told.status, 400);
    assert!(store.is_clean());
    let many = (0..=MAX_PARTS).fold(base(), |form, _| form.text("topics", "t"));
    assert_eq!(send(&server, many).await.status, 413);
    assert!(store.is_clean());
    assert_eq!(
        send(&server, base().text("prompt", "x".repeat(MAX_BODY))).await.status,
        200
    );
    assert_eq!(store.files().len(), 1);
    let most = (1..MAX_PARTS).fold(base(), |form, _| form.text("topics", "t"));
    assert_eq!(send(&server, most).await.status, 200);
}

/// Sends a form. Each part is a pair: the text after `Content-Disposition: form-data; `, and the content.
async fn parts(server: &TranscoderServer, parts: &[(&str, &[u8])]) -> super::service::Told {
    let mut body = Vec::new();
    for (headers, content) in parts {
        let head = format!("--B\r\nContent-Disposition: form-data; {headers}\r\n\r\n");
        body.extend([head.as_bytes(), content, b"\r\n"].concat());
    }
    body.extend(b"--B--\r\n");
    let request = server
        .request("POST", "/reading/start")
        .header("content-type", "multipart/form-data; boundary=B");
    server.send(request.body(body)).await
}

/// HTTP libraries use different encodings for file names that are not ASCII.
#[tokio::test]
async fn file_names_of_other_libraries_are_understood() {
    let store = Arc::new(Store::default());
    let server = server(&store).await;
    for (headers, name) in [
        (
            "name=files; filename=\"=?utf-8?B?5paH5Lu2LmNzdg==?=\"; filename*=utf-8''%E6%96%87%E4%BB%B6.csv",
            "文件.csv",
        ),
        ("name=files; filename*=utf-8''%E6%96%87%E4%BB%B6.csv", "文件.csv"),
        ("name=\"files\"; filename=\"文件.csv\"", "文件.csv"),
        ("name=\"files\"; filename=\"a %22b%22.csv\"", "a \"b\".csv"),
        ("name=\"files[]\"; filename=\"a.csv\"", "a.csv"),
        (
            "name=\"files[0]\"; filename=\"a.csv\"\r\nContent-Type: text/csv",
            "a.csv",
        ),
    ] {
        let told = parts(&server, &[("name=prompt", b"hi"), (headers, b"a,b")]).await;
        assert_eq!(told.status, 200, "{headers}: {told:?}");
        let stored = std::mem::take(&mut *store.files.lock().unwrap());
        let (id, stored_name, _) = &stored[0];
        assert_eq!(stored_name, name, "{headers}");
        assert_eq!(
            server.asked_message(),
            json!({"prompt": "hi", "files": [id]}),
            "{headers}"
        );
    }
}

/// `FormData.append("prompt", new Blob([…]))` and generated clients send a file name with a text part.
#[tokio::test]
async fn a_text_may_have_a_file_name_and_a_charset() {
    let store = Arc::new(Store::default());
    let server = server(&store).await;
    for (headers, content) in [
        (
            "name=\"prompt\"; filename=\"blob\"\r\nContent-Type: text/plain",
            "café".as_bytes(),
        ),
        (
            "name=\"prompt\"; filename=\"blob\"\r\nContent-Type: application/octet-stream",
            "café".as_bytes(),
        ),
        (
            "name=\"prompt\"\r\nContent-Type: text/plain; charset=ISO-8859-1",
            b"caf\xe9",
        ),
        (
            "name=\"prompt\"\r\nContent-Type: text/plain; charset=utf-8",
            "café".as_bytes(),
        ),
    ] {
        let told = parts(&server, &[("name=\"_charset_\"", b"utf-8"), (headers, content)]).await;
        assert_eq!(told.status, 200, "{headers}: {told:?}");
        assert_eq!(server.asked_message(), json!({"prompt": "café"}), "{headers}");
    }
    let unknown = "name=\"prompt\"\r\nContent-Type: text/plain; charset=klingon";
    let told = parts(&server, &[(unknown, b"hi")]).await;
    let detail = r#"{"detail":"prompt: the text is not klingon"}"#;
    assert_eq!(told.refusal(), (400, "INVALID_REQUEST", detail));
    assert!(store.is_clean());
}

#[tokio::test]
async fn a_form_without_files_may_be_urlencoded() {
    let store = Arc::new(Store::default());
    let server = server(&store).await;
    let post = |kind: &'static str, body: &'static [u8]| {
        let request = server.request("POST", "/reading/start").header("content-type", kind);
        server.send(request.body(body))
    };
    let urlencoded = "application/x-www-form-urlencoded";
    let form = b"prompt=Hello+W%C3%B6rld%26&reader_id=&topics=a&topics%5B%5D=b&aloud=true&_charset_=utf-8&requestId=k";
    for kind in [urlencoded, "Application/X-WWW-Form-Urlencoded; charset=UTF-8"] {
        assert_eq!(post(kind, form).await.status, 200);
        let expected = json!({
            "prompt": "Hello Wörld&", "topics": ["a", "b"], "aloud": true, "request_id": "k",
        });
        assert_eq!(server.asked_message(), expected);
    }
    assert_eq!(post(urlencoded, b"").await.status, 200);
    assert_eq!(server.asked_message(), json!({}));
    for (body, status, code, detail) in [
        (
            b"promt=x".as_slice(),
            400,
            "INVALID_REQUEST",
            r#"unknown form field \"promt\"; did you mean \"prompt\"?"#,
        ),
        (
            b"prompt=a&prompt=b",
            400,
            "INVALID_REQUEST",
            "prompt: given more than once",
        ),
        (b"prompt=%FF", 400, "INVALID_REQUEST", "the form is not UTF-8"),
        (b"prompt=\xff", 400, "INVALID_REQUEST", "the form is not UTF-8"),
        (
            b" {\"prompt\": \"x\"}",
            415,
            "UNSUPPORTED_MEDIA_TYPE",
            "the body is JSON; send it with Content-Type: application/json",
        ),
    ] {
        let told = post(urlencoded, body).await;
        let body = format!(r#"{{"detail":"{detail}"}}"#);
        assert_eq!(told.refusal(), (status, code, body.as_str()));
    }
    let large = [b"prompt=".as_slice(), &vec![b'x'; MAX_BODY]].concat();
    let request = server
        .request("POST", "/reading/start")
        .header("content-type", urlencoded);
    assert_eq!(server.send(request.body(large)).await.status, 413);
    // A method that does not accept multipart forms does not accept URL-encoded forms either.
    let request = server.request("PUT", "/reading/r1").header("content-type", urlencoded);
    assert_eq!(server.send(request.body("title=x")).await.status, 415);
    assert!(server.asked().is_empty() && store.is_clean());
}

#[tokio::test]
async fn empty_file_inputs_count_as_absent() {
    let store = Arc::new(Store::default());
    let server = server(&store).await;
    let body = "--B\r\nContent-Disposition: form-data; name=\"files\"; filename=\"\"\r\nContent-Type: \
                application/octet-stream\r\n\r\n\r\n--B\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nhi\r\n--B--\r\n";
    let request = server
        .request("POST", "/reading/start")
        .header("content-type", "multipart/form-data; boundary=B");
    let told = server.send(request.body(body)).await;
    assert_eq!(told.status, 200, "{told:?}");
    assert_eq!(server.asked_message(), json!({"prompt": "hi"}));
    // An empty file with a name counts as a file.
    assert_eq!(
        send(&server, Form::new().part("files", file("empty", ""))).await.status,
        200
    );
    assert_eq!(store.files(), [("empty".to_owned(), String::new())]);
}

#[tokio::test]
async fn a_truncated_form_is_refused() {
    let store = Arc::new(Store::default());
    let server = server(&store).await;
    let part = "--B\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a\"\r\n\r\ncontent";
    let whole = format!("{part}\r\n{part}\r\n--B--\r\n");
    let post = |content_type: &'static str, body: String| {
        let request = server
            .request("POST", "/reading/start")
            .header("content-type", content_type);
        server.send(request.body(body))
    };
    let ends = whole.len() - "--\r\n".len();
    for end in (0..=ends).step_by(3).chain([ends]) {
        let told = post("multipart/form-data; boundary=B", whole[..end].to_owned()).await;
        assert_eq!(
            (told.status, told.header("x-error-code")),
            (400, "INVALID_REQUEST"),
            "cut at {end}: {told:?}"
        );
        assert!(store.is_clean(), "cut at {end}: {:?}", store.files());
    }
    for content_type in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=C",
        "multipart/form-data; boundary=BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB",
    ] {
        let told = post(content_type, whole.clone()).await;
        assert_eq!(told.status, 400, "{content_type}: {told:?}");
    }
    assert!(server.asked().is_empty() && store.is_clean());
    assert_eq!(post("multipart/form-data; boundary=B", whole.clone()).await.status, 200);
    assert_eq!(post("Multipart/Form-Data; boundary=\"B\"", whole).await.status, 200);
}

#[tokio::test]
async fn endless_part_headers_are_refused() {
    let store = Arc::new(Store::default());
    let server = server(&store).await;
    let endless = format!(
        "--B\r\nContent-Disposition: form-data; name=\"prompt\"\r\nX: {}",
        "x".repeat(1024 * 1024)
    );
    let preamble = "x".repeat(1024 * 1024);
    for body in [endless, preamble] {
        let pieces = body
            .into_bytes()
            .chunks(8192)
            .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()))
            .collect::<Vec<_>>();
        let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
        let request = server
            .request("POST", "/reading/start")
            .header("content-type", "multipart/form-data; boundary=B");
        let told = server.send(request.body(body)).await;
        let detail = r#"{"detail":"the headers of a part are larger than 65536 bytes"}"#;
        assert_eq!(told.refusal(), (400, "INVALID_REQUEST", detail));
    }
}

#[tokio::test]
async fn a_form_over_the_size_limit_is_refused_while_it_arrives() {
    let store = Arc::new(Store::default());
    let server = server(&store).await;
    let size = usize::try_from(MAX_FORM).unwrap();
    let form = Form::new().part("files", Part::bytes(vec![b'x'; size]).file_name("large"));
    let told = send(&server, form).await;
    let detail = format!(r#"{{"detail":"the form is larger than {MAX_FORM} bytes"}}"#);
    assert_eq!(told.refusal(), (413, "TOO_LARGE", detail.as_str()));
    // This request declares no length, so the server finds the size while it reads.
    let pieces = (0..size / (64 * 1024)).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 64 * 1024]));
    let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
    let told = send(&server, Form::new().part("files", file("large", body))).await;
    assert_eq!(told.refusal(), (413, "TOO_LARGE", detail.as_str()));
    until("no files are left", || store.is_clean()).await;
    assert!(server.asked().is_empty());

    let almost = Form::new().part("files", Part::bytes(vec![b'x'; size - 1024]).file_name("fits"));
    assert_eq!(send(&server, almost).await.status, 200);
    assert_eq!(store.files()[0].1.len(), size - 1024);
}

#[tokio::test]
async fn a_fast_form_is_read_in_small_chunks() {
    let store = Arc::new(Store::default());
    let server = server(&store).await;
    // All chunks are available immediately, so a reader without back-pressure would buffer all of them.
    let head = "--B\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a\"\r\n\r\n";
    let pieces = std::iter::once(Bytes::from(head))
        .chain((0..60).map(|_| Bytes::from(vec![b'x'; 64 * 1024])))
        .chain([Bytes::from("\r\n--B--\r\n")]);
    let body = axum::body::Body::from_stream(futures::stream::iter(pieces.map(Ok::<_, std::io::Error>)));
    let request = http::Request::post("/reading/start")
        .header("content-type", "multipart/form-data; boundary=B")
        .extension(Caller("alice"))
        .body(body)
        .unwrap();
    let response = tower::ServiceExt::oneshot(server.door.clone(), request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(store.files()[0].1.len(), 60 * 64 * 1024);
    let largest = store.largest.load(Ordering::SeqCst);
    assert!(largest <= 128 * 1024, "a chunk of {largest} bytes");
}

#[tokio::test]
async fn a_store_can_refuse_a_file_while_it_arrives() {
    let store = Arc::new(Store {
        max_file: Some(1000),
        ..Store::default()
    });
    let server = server(&store).await;
    let form = |size: usize| {
        let fits = Part::bytes(vec![b'x'; 10]).file_name("fits");
        let large = Part::bytes(vec![b'x'; size]).file_name("large");
        Form::new().part("files", fits).part("files", large)
    };
    let told = send(&server, form(300_000)).await;
    let detail = r#"{"detail":"the file is larger than the plan allows"}"#;
    assert_eq!(told.refusal(), (413, "TOO_LARGE", detail));
    assert!(store.is_clean());
    assert_eq!(send(&server, form(1000)).await.status, 200);
    assert_eq!(store.files().len(), 2);
}

async fn half_a_form(server: &TranscoderServer) -> TcpStream {
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /reading/start HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\
                Content-Type: multipart/form-data; boundary=B\r\n\r\n";
    let first = "--B\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a\"\r\n\r\nwhole\r\n";
    let second = "--B\r\nContent-Disposition: form-data; name=\"files\"; filename=\"b\"\r\n\r\nhalf";
    socket
        .write_all(format!("{head}{first}{second}").as_bytes())
        .await
        .unwrap();
    socket
}

#[tokio::test]
async fn a_client_that_disconnects_leaves_no_files() {
    let store = Arc::new(Store::default());
    let server = server(&store).await;
    let socket = half_a_form(&server).await;
    until("one file is stored and one is being received", || {
        store.files().len() == 1 && store.receiving.load(Ordering::SeqCst) == 1
    })
    .await;
    drop(socket);
    until("no files are left", || store.is_clean()).await;
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn a_stalled_request_body_is_refused() {
    let store = Arc::new(Store::default());
    let server = server(&store).await;
    let mut form = half_a_form(&server).await;
    let mut json = TcpStream::connect(server.address).await.unwrap();
    let head =
        "POST /reading/start HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nContent-Type: application/json\r\n\r\n{";
    json.write_all(head.as_bytes()).await.unwrap();
    for (socket, detail) in [
        (&mut form, "the form ended early"),
        (&mut json, "the request body ended early"),
    ] {
        let mut answer = String::new();
        let read = socket.read_to_string(&mut answer);
        tokio::time::timeout(std::time::Duration::from_secs(20), read)
            .await
            .unwrap()
            .unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.ends_with(&format!(r#"{{"detail":"{detail}"}}"#)), "{answer}");
    }
    until("no files are left", || store.is_clean()).await;
}

#[tokio::test]
async fn disconnecting_after_the_form_does_not_cancel_the_call() {
    for (prompt, kept) in [("go", 1), ("refuse", 0)] {
        let store = Arc::new(Store::default());
        let go_on = Arc::new(Notify::new());
        let pool = library();
        let (known, waits) = (pool.clone(), Arc::clone(&go_on));
        let answered = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&answered);
        let server = TranscoderServer::open(pool, Some(Arc::clone(&store) as Arc<dyn FormFiles>), move |asked| {
            let (waits, counted) = (Arc::clone(&waits), Arc::clone(&counted));
            let refuses = asked.message["prompt"] == "refuse";
            let answer = message(&known, "StartReading", &json!({}));
            async move {
                waits.notified().await;
                counted.fetch_add(1, Ordering::SeqCst);
                if refuses {
                    return Err(Status::aborted("refused"));
                }
                Ok(one(answer))
            }
            .boxed()
        })
        .await;
        let body = format!(
            "--B\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a\"\r\n\r\nx\r\n\
             --B\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\n{prompt}\r\n--B--\r\n"
        );
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "POST /reading/start HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\
             Content-Type: multipart/form-data; boundary=B\r\n\r\n",
            body.len()
        );
        socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        until("the service is called", || !server.asked().is_empty()).await;
        assert_eq!(store.files().len(), 1);
        drop(socket);
        go_on.notify_one();
        until("the call completes", || answered.load(Ordering::SeqCst) == 1).await;
        until("the files are kept or discarded", || store.files().len() == kept).await;
        // A server that discards the files by mistake would do so now.
        tokio::task::yield_now().await;
        assert_eq!(store.files().len(), kept, "{prompt}");
    }
}

#[tokio::test]
async fn an_early_refusal_reaches_a_client_that_is_still_writing() {
    let store = Arc::new(Store {
        max_file: Some(10),
        ..Store::default()
    });
    let server = server(&store).await;
    let mut socket = half_a_form(&server).await;
    let mut answer = Vec::new();
    socket.write_all(&[b'x'; 1000]).await.unwrap();
    socket.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(
        answer.ends_with(r#"{"detail":"the file is larger than the plan allows"}"#),
        "{answer}"
    );
}

#[tokio::test]
async fn without_a_store_forms_are_an_unsupported_media_type() {
    let server = TranscoderServer::answering(json!({})).await;
    let told = send(&server, Form::new().text("prompt", "p")).await;
    assert_eq!(
        (told.status, told.header("x-error-code")),
        (415, "UNSUPPORTED_MEDIA_TYPE")
    );
    assert_eq!(
        server.json("POST", "/reading/start", r#"{"prompt":"p"}"#).await.status,
        200
    );
}
