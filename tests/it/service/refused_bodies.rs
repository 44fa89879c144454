//! Tests of refusals before the body is read, over HTTP/1. The client still gets the answer. Either the connection
//! stays open, or the answer announces that the server will close it.

use std::{net::SocketAddr, time::Duration};

use runyard_upstream::Turn;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::test_server::{TEST_TIMEOUT, TestServer, on_every_database};

/// Size of a body in bytes. It exceeds the socket buffers plus the bytes that the server discards after an answer.
const LONG: usize = 12 * 1024 * 1024;

/// Sends `head` and `first`, waits until the answer begins to arrive, and sends `rest` before it reads the answer.
/// Returns all data that arrives before the server closes the connection.
async fn exchange(address: SocketAddr, head: &str, first: &[u8], rest: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(first).await.unwrap();
    timeout(TEST_TIMEOUT, stream.readable()).await.unwrap().unwrap();
    let sent = timeout(TEST_TIMEOUT, stream.write_all(rest)).await.unwrap();
    assert!(sent.is_ok(), "the client should be able to send its body: {sent:?}");
    let mut answer = Vec::new();
    let read = timeout(TEST_TIMEOUT, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(read.is_ok(), "the answer should not be lost: {read:?}");
    String::from_utf8_lossy(&answer).into_owned()
}

struct Refusal {
    what: &'static str,
    head: String,
    first: Vec<u8>,
    expected: &'static str,
}

fn refusals(token: &str) -> Vec<Refusal> {
    let bearer = format!("authorization: Bearer {token}\r\n");
    let long = format!("content-length: {LONG}\r\n");
    let chunked = "transfer-encoding: chunked\r\n".to_owned();
    let json = "content-type: application/json\r\n";
    let form = "content-type: multipart/form-data; boundary=B\r\n";
    let web = "content-type: application/grpc-web+proto\r\n";
    let part =
        |name: &str| format!("--B\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\nx\r\n--B\r\n").into_bytes();
    let post = |path: &str, lines: &[&str]| format!("POST {path} HTTP/1.1\r\nhost: a\r\n{}\r\n", lines.concat());
    let method = "/runyard.v1.ThreadService/CreateThread";
    let refusal = |what, head, first: &[u8], expected| Refusal {
        what,
        head,
        first: first.to_vec(),
        expected,
    };
    vec![
        refusal(
            "JSON without a token",
            post("/agent/start", &[json, &long]),
            b" ",
            "HTTP/1.1 401",
        ),
        refusal(
            "a form without a token",
            post("/agent/start", &[form, &long]),
            &part("prompt"),
            "HTTP/1.1 401",
        ),
        refusal(
            "an unknown path",
            post("/nosuch", &[&bearer, json, &long]),
            b" ",
            "HTTP/1.1 404",
        ),
        refusal(
            "an unsupported method",
            post("/healthz", &[json, &long]),
            b" ",
            "HTTP/1.1 405",
        ),
        refusal(
            "an unsupported content type",
            post("/agents", &[&bearer, "content-type: text/plain\r\n", &long]),
            b" ",
            "HTTP/1.1 4",
        ),
        refusal(
            "JSON over the limit",
            post("/agents", &[&bearer, json, &long]),
            b" ",
            "HTTP/1.1 413",
        ),
        refusal(
            "an unknown form field",
            post("/agent/start", &[&bearer, form, &long]),
            &part("nosuch"),
            "HTTP/1.1 400",
        ),
        refusal(
            "chunks without a token",
            post("/agent/start", &[json, &chunked]),
            b"1\r\n \r\n",
            "HTTP/1.1 401",
        ),
        refusal(
            "gRPC-Web without a token",
            post(method, &[web, &long]),
            b"\0",
            "grpc-status: 16",
        ),
        refusal(
            "gRPC-Web over the limit",
            post(method, &[&bearer, web, &long]),
            &[&[0][..], &u32::try_from(LONG).unwrap().to_be_bytes()].concat(),
            "grpc-status: 8",
        ),
    ]
}

#[tokio::test]
async fn a_refused_client_gets_its_answer_despite_a_long_body() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let token = server.caller("ann").token;
            let address = server.address;
            let all = refusals(&token).into_iter().map(|refusal| async move {
                let Refusal {
                    what,
                    head,
                    first,
                    expected,
                } = refusal;
                let rest = if head.contains("chunked") {
                    let chunk = [&b"10000\r\n"[..], &vec![b' '; 0x10000], b"\r\n"].concat();
                    [chunk.repeat(LONG / 0x10000), b"0\r\n\r\n".to_vec()].concat()
                } else {
                    vec![b' '; LONG - first.len()]
                };
                let answer = exchange(address, &head, &first, &rest).await;
                assert!(answer.contains(expected), "{what}: {answer}");
                assert!(answer.to_lowercase().contains("connection: close"), "{what}: {answer}");
            });
            futures::future::join_all(all).await;
        },
    )
    .await;
}

/// Reads one answer with a `content-length`.
async fn answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let whole = async {
        loop {
            let text = String::from_utf8_lossy(&answer).to_lowercase();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.unwrap_or("0").parse::<usize>().unwrap() {
                    return text;
                }
            }
            assert_ne!(
                stream.read_buf(&mut answer).await.unwrap(),
                0,
                "the answer is incomplete: {text}"
            );
        }
    };
    timeout(TEST_TIMEOUT, whole).await.unwrap()
}

#[tokio::test]
async fn a_short_body_is_discarded_and_the_connection_stays_open() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            for length in [14, 200_000] {
                let head = format!(
                    "POST /agent/start HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                let refused = answer(&mut stream).await;
                assert!(refused.starts_with("http/1.1 401") && !refused.contains("connection: close"), "{refused}");
                stream.write_all(&vec![b' '; length]).await.unwrap();
                stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
                let next = answer(&mut stream).await;
                assert!(next.starts_with("http/1.1 200"), "{next}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_client_that_expects_100_continue_is_refused_without_its_body() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let head = "POST /agent/start HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
            let reply = exchange(server.address, head, b"", b"").await;
            assert!(reply.starts_with("HTTP/1.1 401") && reply.contains("connection: close"), "{reply}");
            let token = server.caller("ann").token;
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let head = format!(
                "POST /threads HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
                 expect: 100-continue\r\ncontent-length: 2\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let head = answer(&mut stream).await;
            assert!(head.starts_with("http/1.1 100"), "{head}");
            stream.write_all(b"{}").await.unwrap();
            let made = answer(&mut stream).await;
            assert!(made.starts_with("http/1.1 200"), "{made}");
        },
    )
    .await;
}

#[tokio::test]
async fn oversized_headers_are_refused_with_status_431() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let head = format!(
                "GET /agents HTTP/1.1\r\nhost: a\r\nx-large: {}\r\n\r\n",
                "y".repeat(100_000)
            );
            let answer = exchange(server.address, &head, b"", &vec![b'z'; LONG]).await;
            assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_refused_client_that_goes_silent_is_disconnected() {
    let mut server = TestServer::open(&crate::test_server::Database::Sqlite, Turn::text("x"), |_| {}).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!("POST /agent/start HTTP/1.1\r\nhost: a\r\ncontent-length: {LONG}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(TEST_TIMEOUT, stream.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 401"));
    // The server has closed its sending side. It soon closes the receiving side, too, and writes of the client then
    // fail.
    let closed = async {
        while stream.write_all(b" ").await.is_ok() {
            // The pause is longer than the time that the server waits for the next byte, 5 seconds.
            tokio::time::sleep(Duration::from_secs(8)).await;
        }
    };
    timeout(Duration::from_mins(1), closed)
        .await
        .expect("the server should close the connection");
    server.stop().await;
}
