//! Tests of frames, requests and paths that no correct client sends. The server refuses them in bounded time, and
//! serves the next valid request.

use std::{collections::HashSet, net::SocketAddr, time::Duration};

use reqwest::{Client, Response};
use runyard::v1;
use runyard_upstream::Turn;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::call::framed;
use crate::test_server::{Answer, Caller, TEST_TIMEOUT, TestServer, on_every_database, on_every_database_with};

fn grpc() -> Client {
    Client::builder().http2_prior_knowledge().build().unwrap()
}

/// Returns the gRPC status from the headers of an answer. Returns 0 if the status is in the trailers.
async fn status(response: Response) -> i32 {
    assert_eq!(response.status(), 200);
    let status = response
        .headers()
        .get("grpc-status")
        .map(|value| value.to_str().unwrap().parse().unwrap());
    let _ = response.bytes().await;
    status.unwrap_or_default()
}

/// A malformed frame is reported as a client error, never as an internal error.
#[tokio::test]
#[expect(clippy::too_many_lines, clippy::type_complexity, reason = "a table")]
async fn h07_malformed_frames_are_refused() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let (caller, client) = (server.caller("ann"), grpc());
            let good = framed(&prost::Message::encode_to_vec(&v1::ListAgentsRequest::default()));
            let send = async |headers: &[(&str, &str)], body: Vec<u8>| {
                let url = server.url("/runyard.v1.AgentService/ListAgents");
                let mut request = client.post(url).bearer_auth(&caller.token).header("te", "trailers");
                if headers.iter().all(|(name, _)| *name != "content-type") {
                    request = request.header("content-type", "application/grpc");
                }
                for (name, value) in headers {
                    request = request.header(*name, *value);
                }
                status(timeout(TEST_TIMEOUT, request.body(body).send()).await.unwrap().unwrap()).await
            };
            let frame = |flag: u8, length: u32, payload: &[u8]| [&[flag][..], &length.to_be_bytes(), payload].concat();
            let deep = {
                let mut message = Vec::new();
                for _ in 0..10_000 {
                    let mut outer = vec![0x42];
                    prost::encoding::encode_varint(message.len() as u64, &mut outer);
                    outer.extend(message);
                    message = outer;
                }
                message
            };
            let bomb = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xed\xc1".to_vec();
            let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
            let table: Vec<(&str, Vec<(&str, &str)>, Vec<u8>, &[i32])> = vec![
                ("good", vec![], good.clone(), &[0]),
                ("4 GB announced", vec![], frame(0, u32::MAX, b"abc"), &[8]),
                (
                    "more than the limit announced",
                    vec![],
                    frame(0, 5_000_000, b"abc"),
                    &[8],
                ),
                ("truncated", vec![], frame(0, 100, b"abc"), &[3]),
                ("half a frame prefix", vec![], vec![0, 0], &[3]),
                ("nothing", vec![], vec![], &[3]),
                ("invalid protobuf", vec![], frame(0, 3, b"\xff\xff\xff"), &[3]),
                ("not UTF-8", vec![], frame(0, 4, b"\x1a\x02\xff\xfe"), &[3]),
                ("a wrong wire type", vec![], frame(0, 2, b"\x1d\x00"), &[3]),
                ("10,000 deep", vec![], frame(0, length(&deep), &deep), &[0, 3]),
                ("an unknown flag", vec![], frame(7, 0, b""), &[3]),
                ("compressed without an encoding", vec![], frame(1, 3, b"abc"), &[3]),
                (
                    "an unknown encoding",
                    vec![("grpc-encoding", "snappy")],
                    frame(1, 3, b"abc"),
                    &[12],
                ),
                (
                    "gzip",
                    vec![("grpc-encoding", "gzip")],
                    frame(1, length(&bomb), &bomb),
                    &[3, 12],
                ),
                (
                    "two messages",
                    vec![],
                    [good.clone(), good.clone()].concat(),
                    &[0, 3, 12],
                ),
                ("a deadline of zero", vec![("grpc-timeout", "0S")], good.clone(), &[4]),
                ("a deadline of 1 ns", vec![("grpc-timeout", "1n")], good.clone(), &[4]),
                (
                    "a very distant deadline",
                    vec![("grpc-timeout", "99999999H")],
                    good.clone(),
                    &[0],
                ),
                (
                    "a deadline that is too long",
                    vec![("grpc-timeout", "1000000000H")],
                    good.clone(),
                    &[3],
                ),
                ("a negative deadline", vec![("grpc-timeout", "-1S")], good.clone(), &[3]),
                (
                    "metadata that is not base64",
                    vec![("x-trace-bin", "!!!not base64!!!")],
                    good.clone(),
                    &[0],
                ),
                (
                    "JSON over gRPC",
                    vec![("content-type", "application/grpc+json")],
                    frame(0, 2, b"{}"),
                    &[0, 3, 12],
                ),
            ];
            for (what, headers, body, expected) in table {
                let found = send(&headers, body).await;
                assert!(expected.contains(&found), "{what}: {found}, not one of {expected:?}");
            }
            let unknown = async |path: &str| {
                let request = client.post(server.url(path)).bearer_auth(&caller.token);
                status(
                    request
                        .header("content-type", "application/grpc")
                        .body(good.clone())
                        .send()
                        .await
                        .unwrap(),
                )
                .await
            };
            for path in [
                "/no.such.Service/Method",
                "/runyard.v1.AgentService/NoSuchMethod",
                "/",
                "/agents",
                "//",
            ] {
                assert_eq!(unknown(path).await, 12, "{path}");
            }
            assert_eq!(send(&[], good).await, 0);
        },
    )
    .await;
}

/// Writes bytes on a new connection. Returns everything that the server sends. The writing side of the connection
/// stays open.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    exchange_for(address, bytes, 1).await
}

/// Like [`exchange`], but waits longer until `answers` answers have begun.
async fn exchange_for(address: SocketAddr, bytes: &[u8], answers: usize) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close the connection before everything is written.
    let _ = stream.write_all(bytes).await;
    let mut received = Vec::new();
    let mut piece = [0; 4096];
    // The wait for each answer is up to 10 s, because the machine may be busy. Each further wait is up to 300 ms.
    let mut pause = Duration::from_secs(10);
    while let Ok(Ok(read)) = timeout(pause, stream.read(&mut piece)).await {
        if read == 0 {
            break;
        }
        received.extend_from_slice(&piece[..read]);
        if String::from_utf8_lossy(&received).matches("HTTP/1.1 ").count() >= answers {
            pause = Duration::from_millis(300);
        }
    }
    String::from_utf8_lossy(&received).into_owned()
}

fn statuses(received: &str) -> Vec<&str> {
    received.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect()
}

/// A request has exactly one end. If the end is ambiguous, the server never parses the following bytes as a request.
#[tokio::test]
async fn h10_no_request_is_smuggled() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let opening = format!(
                "POST /agents HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n",
                caller.token
            );
            let hidden = format!(
                "POST /agents HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
                 Content-Length: 20\r\n\r\n{{\"name\": \"Smuggled\"}}",
                caller.token
            );
            let body = "{\"name\": \"Honest one\"}";
            let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
            for (what, request) in [
                (
                    "two lengths",
                    format!("{opening}Content-Length: 22\r\nContent-Length: 0\r\n\r\n{body}{hidden}"),
                ),
                (
                    "a list of lengths",
                    format!("{opening}Content-Length: 22, 0\r\n\r\n{body}{hidden}"),
                ),
                (
                    "a length with a sign",
                    format!("{opening}Content-Length: +22\r\n\r\n{body}{hidden}"),
                ),
                (
                    "a negative length",
                    format!("{opening}Content-Length: -1\r\n\r\n{body}{hidden}"),
                ),
                (
                    "a huge length",
                    format!("{opening}Content-Length: 99999999999999999999\r\n\r\n{body}"),
                ),
                (
                    "an unknown coding",
                    format!("{opening}Transfer-Encoding: xchunked\r\n\r\n{chunked}{hidden}"),
                ),
                (
                    "another coding after chunked",
                    format!("{opening}Transfer-Encoding: chunked, identity\r\n\r\n{chunked}{hidden}"),
                ),
                (
                    "a space before the colon",
                    format!("{opening}Transfer-Encoding : chunked\r\n\r\n{chunked}{hidden}"),
                ),
                (
                    "a folded header line",
                    format!("{opening}X-A: b\r\n c\r\nTransfer-Encoding:\r\n chunked\r\n\r\n{chunked}{hidden}"),
                ),
                (
                    "an invalid chunk size",
                    format!("{opening}Transfer-Encoding: chunked\r\n\r\nzz\r\n{body}\r\n0\r\n\r\n{hidden}"),
                ),
                (
                    "a chunk size that overflows",
                    format!("{opening}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{body}\r\n0\r\n\r\n"),
                ),
                ("a name with a NUL", format!("{opening}X-\0: b\r\n\r\n")),
                ("a value with a line break", format!("{opening}X-A: b\rX-B: c\r\n\r\n")),
                (
                    "no HTTP version",
                    format!("GET /agents\r\nAuthorization: Bearer {}\r\n\r\n", caller.token),
                ),
                (
                    "an unknown HTTP version",
                    "GET /agents HTTP/3.7\r\nHost: a\r\n\r\n".to_owned(),
                ),
                ("not HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}\r\n\r\n".to_owned()),
            ] {
                let received = exchange(server.address, request.as_bytes()).await;
                let statuses = statuses(&received);
                assert!(statuses.iter().all(|status| *status == "400"), "{what}: {received}");
                assert!(statuses.len() <= 1, "{what}: {received}");
            }
            // If a request has both a length and a transfer coding, the server uses the coding or refuses the
            // request. The server never finds a second request in the body.
            let both = format!("{opening}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}");
            let received = exchange(server.address, both.as_bytes()).await;
            assert!(
                statuses(&received).len() == 1 && ["200", "400"].contains(&statuses(&received)[0]),
                "{received}"
            );
            let inside = format!(
                "{opening}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
                5 + hidden.len()
            );
            let received = exchange(server.address, inside.as_bytes()).await;
            let named = caller.get("/agents").await.ok().to_string();
            assert!(!named.contains("Smuggled"), "{received}");
            // Positive control: two valid requests on one connection get two answers.
            let honest = format!("{opening}Content-Length: 22\r\n\r\n{body}");
            let received = exchange_for(server.address, format!("{honest}{honest}").as_bytes(), 2).await;
            assert_eq!(statuses(&received), ["200", "200"], "{received}");
            let absolute = "GET http://elsewhere.example/healthz HTTP/1.1\r\nHost: a\r\n\r\n";
            assert_eq!(statuses(&exchange(server.address, absolute.as_bytes()).await), ["200"]);
        },
    )
    .await;
}

#[tokio::test]
async fn h12_only_listed_origins_read_answers() {
    on_every_database_with(
        |_| Turn::text("x"),
        |config| config.http.cors_origins = vec!["https://good.example".to_owned()],
        async |server| {
            let caller = server.caller("ann");
            let ask = async |method: &str, origin: &str| {
                let mut request = caller.request(method, "/agents").header("origin", origin);
                if method == "OPTIONS" {
                    request = server
                        .http
                        .request(reqwest::Method::OPTIONS, server.url("/agents"))
                        .header("origin", origin)
                        .header("access-control-request-method", "POST")
                        .header("access-control-request-headers", "authorization,content-type")
                        .header("access-control-request-private-network", "true");
                }
                Answer::of(request.send().await.unwrap()).await
            };
            for method in ["GET", "OPTIONS"] {
                let good = ask(method, "https://good.example").await;
                assert_eq!(good.status, 200, "{method}");
                assert_eq!(good.header("access-control-allow-origin"), "https://good.example");
                assert!(
                    good.header("vary").to_lowercase().contains("origin"),
                    "{:?}",
                    good.headers
                );
                for origin in [
                    "https://good.example.evil",
                    "https://evil.example",
                    "http://good.example",
                    "https://good.example:8443",
                    "https://sub.good.example",
                    "https://GOOD.example/",
                    "null",
                    "*",
                    "",
                ] {
                    let answer = ask(method, origin).await;
                    assert_eq!(answer.header("access-control-allow-origin"), "", "{method} {origin}");
                }
                for origin in ["https://good.example", "https://evil.example"] {
                    let answer = ask(method, origin).await;
                    for never in [
                        "access-control-allow-credentials",
                        "access-control-allow-private-network",
                    ] {
                        assert_eq!(answer.header(never), "", "{method} {origin}");
                    }
                }
            }
            let good = ask("GET", "https://good.example").await;
            for exposed in ["x-error-code", "x-request-id", "retry-after", "etag", "accept-ranges"] {
                assert!(
                    good.header("access-control-expose-headers").contains(exposed),
                    "{exposed}"
                );
            }
            // A web page of a permitted origin may send every header that the contract reads.
            let allowed = ask("OPTIONS", "https://good.example").await;
            let allowed = allowed.header("access-control-allow-headers").to_lowercase();
            let methods = super::call::methods();
            let rules = methods.iter().flat_map(super::call::rules);
            let headers: HashSet<_> = rules
                .flat_map(|rule| &rule.method.aliases)
                .filter_map(|alias| alias.header.as_ref())
                .collect();
            assert!(headers.len() > 4, "{headers:?}");
            for header in headers {
                assert!(
                    allowed.split(',').any(|name| name.trim() == header.as_str()),
                    "{header}"
                );
            }
        },
    )
    .await;
}

/// Tracing tools add headers to every request of a web page. If the preflight response did not allow these headers,
/// the browser would block all calls of the page.
#[tokio::test]
async fn a_preflight_allows_the_headers_of_tracing_tools() {
    on_every_database_with(
        |_| Turn::text("x"),
        |config| {
            config.http.cors_origins = vec!["https://good.example".to_owned()];
            config.http.cors_headers = vec!["X-Tenant".to_owned()];
        },
        async |server| {
            let request = server
                .http
                .request(reqwest::Method::OPTIONS, server.url("/agent/start"))
                .header("origin", "https://good.example")
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "traceparent");
            let answer = Answer::of(request.send().await.unwrap()).await;
            let allowed = answer.header("access-control-allow-headers").to_lowercase();
            let allowed: HashSet<&str> = allowed.split(',').map(str::trim).collect();
            for name in [
                "authorization",
                "traceparent",
                "tracestate",
                "baggage",
                "sentry-trace",
                "x-requested-with",
                "cache-control",
                "x-datadog-trace-id",
                "b3",
                "x-tenant",
            ] {
                assert!(allowed.contains(name), "{name}: {allowed:?}");
            }
            assert!(!allowed.contains("x-else"));
        },
    )
    .await;
}

#[tokio::test]
async fn h13_unknown_paths_and_methods_are_refused() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let ask = async |line: &str| {
                let text = format!(
                    "{line} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
                    caller.token
                );
                let received = exchange(server.address, text.as_bytes()).await;
                let status = statuses(&received)
                    .first()
                    .map_or(0, |status| status.parse::<u16>().unwrap());
                (status, received)
            };
            let long = format!("GET /{}", "a".repeat(65_000));
            for line in [
                "GET /agents%2f",
                "GET //agents",
                "GET /agents//",
                "GET /agents/",
                "GET /agents/..;/projects",
                "GET /agents/%2e%2e/projects",
                "GET /agents/../projects",
                "GET /./agents",
                "GET /AGENTS",
                "GET /v1/v1/agents",
                "GET /v2/agents",
                "GET /agents%00",
                "GET /agents%",
                "GET /agents/%zz",
                "GET /agents/%ff",
                "GET /%61gents/x/y/z/a",
                "GET /agents\\..\\projects",
                "GET /runyard.v1.AgentService/ListAgents",
                "GET /healthz/../agents/x/y",
                "GET /\u{7f}",
                "GET /agents/%ff%fe/versions",
                long.as_str(),
            ] {
                let (status, received) = ask(line).await;
                assert!((400..500).contains(&status), "{line:.80}: {received}");
            }
            for method in ["FROB", "DELETE", "TRACE", "CONNECT", "get", "PROPFIND"] {
                let (status, received) = ask(&format!("{method} /agents")).await;
                assert!([400, 404, 405].contains(&status), "{method}: {received}");
            }
            let (status, _) = ask("GET /agents?page_size=1&page_size=2").await;
            assert_eq!(status, 400);
            assert_eq!(ask("GET /%61gents").await.0, 200);
            assert_eq!(ask("GET /agents").await.0, 200);
        },
    )
    .await;
}

async fn assert_served(server: &TestServer, caller: &Caller) {
    let answer = timeout(TEST_TIMEOUT, caller.get("/agents")).await.unwrap();
    assert_eq!(answer.status, 200);
    let _ = server;
}

#[tokio::test]
async fn h05_idle_and_half_open_connections_delay_no_other_client() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let mut open = Vec::new();
            for number in 0..400 {
                let mut stream = TcpStream::connect(server.address).await.unwrap();
                let half: &[u8] = match number % 4 {
                    0 => b"",
                    1 => b"PRI * HTTP/2.0\r\n\r\nSM",
                    2 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                    _ => b"GET /agents HTTP/1.1\r\nHost: a\r\nX-Slow: ",
                };
                stream.write_all(half).await.unwrap();
                open.push(stream);
            }
            assert_served(server, &caller).await;
            let client = grpc();
            let request = (0..1000).map(|_| client.get(server.url("/healthz")).send());
            for answer in futures::future::join_all(request).await {
                assert_eq!(answer.unwrap().status(), 200);
            }
            assert_served(server, &caller).await;
            drop(open);
            assert_eq!(caller.get("/agents").await.ok()["agents"], json!([]));
        },
    )
    .await;
}

/// The server closes a connection that does not identify its protocol in time. After a client has identified the
/// protocol, this timeout no longer applies.
#[tokio::test]
async fn h05_a_connection_must_identify_its_protocol_in_time() {
    use runyard::server::protocol_detection::ProtocolDetection;
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (first, is_known) in [
        ("", false),
        ("P", false),
        (&preface[..23], false),
        (preface, true),
        ("G", true),
        ("PRI * HTTP/1", true),
        ("POST", true),
    ] {
        let (mut peer, ours) = tokio::io::duplex(64);
        let mut opening = ProtocolDetection::new(ours, Duration::from_millis(50));
        // A hostile client may send the bytes one by one.
        for byte in first.bytes() {
            peer.write_all(&[byte]).await.unwrap();
            assert_eq!(opening.read_u8().await.unwrap(), byte);
        }
        let more = timeout(Duration::from_millis(500), opening.read_u8()).await;
        match more {
            Ok(read) => {
                assert!(!is_known, "{first:?}");
                assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
            }
            Err(_) => assert!(is_known, "{first:?} should time out"),
        }
    }
}
