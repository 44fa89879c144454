//! Tests of the secrets that commands use: the proxy inserts a value, sends the request over TLS to the hosts of the
//! secret, and removes the value from the response.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use runyard_upstream::{Call, Script, Turn, Upstream};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{program::Program, requests::text};
use crate::{
    client::tls::{AUTHORITY, tls_proxy},
    test_server::{Answer, TEST_TIMEOUT},
};

const VALUE: &str = "canary-7f3a-of-the-secret";
/// Sends a request to the proxy, and prints the response.
const ASK: &str =
    "ask() { exec 3<>/dev/tcp/127.0.0.1/3128; printf '%b' \"$1\" >&3; cat <&3; exec 3>&-; printf '\\n'; }\n";

/// The requests of a server: each with its line, the header `x-key`, the headers `accept-encoding` and `range`, and the body.
type Received = Arc<Mutex<Vec<[String; 4]>>>;

fn header(request: &Request, name: &str) -> String {
    let value = request.headers().get(name).map(|value| value.to_str().unwrap());
    value.unwrap_or_default().to_owned()
}

async fn answer(received: Received, request: Request) -> Response {
    let key = header(&request, "x-key");
    let encoding = header(&request, "accept-encoding") + &header(&request, "range");
    let line = format!("{} {}", request.method(), request.uri().path_and_query().unwrap());
    let is_compressed = request.uri().path() == "/compressed";
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let body = String::from_utf8(body.into()).unwrap();
    received
        .lock()
        .unwrap()
        .push([line, key.clone(), encoding, body.clone()]);
    let mut headers = HeaderMap::new();
    headers.insert("x-echo", key.parse().unwrap());
    if is_compressed {
        headers.insert("content-encoding", "gzip".parse().unwrap());
    }
    // The value arrives in two parts.
    let (first, second) = key.split_at(key.len() / 2);
    let parts = [format!("{body} you sent {first}"), format!("{second}.")];
    let parts = parts.map(|part| Ok::<_, std::io::Error>(Bytes::from(part)));
    (
        StatusCode::CREATED,
        headers,
        Body::from_stream(futures::stream::iter(parts)),
    )
        .into_response()
}

/// Starts a server with the certificate of `localhost`. Returns its host and port, and what it receives.
async fn tls_server(protocol: &[u8]) -> (String, Received) {
    let received = Received::default();
    let records = Arc::clone(&received);
    let router = Router::new().fallback(move |request: Request| answer(Arc::clone(&records), request));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tls_proxy(listener.local_addr().unwrap(), protocol).await;
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (format!("localhost:{port}"), received)
}

/// A program in which a run executes one command, which may reach `host`.
struct Yard {
    program: Program,
    upstream: Upstream,
    _folder: TempDir,
}

impl Yard {
    async fn start(command: &str, host: &str, line: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let call = Call::new("bash", &json!({"command": command}));
        let upstream = Upstream::start(Script::turns([Turn::calls([call]), Turn::text("Done.")])).await;
        let config = format!(
            "[[tiers]]\nname = \"free\"\nmodels = [\"*\"]\ndefault_model = \"kortix/minimax\"\nmax_upload_bytes = 1000000\ncredits_granted = 300\n\
             [providers.default]\nkind = \"openai\"\nbase_url = \"{}\"\napi_key = \"x\"\n\
             [sandbox]\nnetwork = \"proxy\"\nallow_private_addresses = true\nallowed_hosts = [\"{host}\"]\n",
            upstream.base_url()
        );
        Self {
            program: Program::start_in(folder.path(), &config, line).await,
            upstream,
            _folder: folder,
        }
    }

    async fn create(&self, name: &str, hosts: Value) {
        let body = json!({"name": name, "value": VALUE, "hosts": hosts});
        let created = self
            .program
            .request("POST", "/secrets")
            .json(&body)
            .send()
            .await
            .unwrap();
        Answer::of(created).await.ok();
    }

    /// Executes a run. Returns its events.
    async fn run(&self) -> String {
        let body = json!({"prompt": "x", "mode": "code"});
        let started = self
            .program
            .request("POST", "/agent/start")
            .json(&body)
            .send()
            .await
            .unwrap();
        let run = Answer::of(started).await.ok();
        let path = format!("/agent-run/{}/stream", text(&run, "agent_run_id"));
        let stream = self
            .program
            .request("GET", &path)
            .timeout(TEST_TIMEOUT)
            .send()
            .await
            .unwrap();
        stream.text().await.unwrap()
    }
}

/// Returns the output of the command, from the events of its run.
fn output(events: &str) -> String {
    let data = events.lines().filter_map(|line| line.strip_prefix("data:"));
    let results: Vec<String> = data
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|event| event["tool_result"]["text"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(results.len(), 1, "{events}");
    results.concat().replace('\r', "")
}

fn trusting() -> String {
    format!("export SSL_CERT_FILE='{AUTHORITY}'; exec \"$@\"")
}

#[tokio::test]
async fn a_command_uses_a_secret_without_its_value() {
    for protocol in ["http/1.1", "h2"] {
        let (host, received) = tls_server(protocol.as_bytes()).await;
        let command = format!(
            "{ASK}ask 'GET http://{host}/a?b HTTP/1.1\\r\\nX-Key: Bearer ${{secret:KEY}}\\r\\nAccept-Encoding: gzip\\r\\nRange: bytes=0-1\\r\\n\\r\\n'
             ask 'POST http://{host}/c HTTP/1.1\\r\\nX-Key: ${{secret:KEY}}\\r\\nContent-Length: 5\\r\\n\\r\\nhello'"
        );
        let yard = Yard::start(&command, &host, &trusting()).await;
        yard.create("KEY", json!(["localhost"])).await;
        let events = yard.run().await;
        let stars = "*".repeat(VALUE.len());
        let shown = output(&events);
        assert_eq!(shown.matches("HTTP/1.1 201 Created\n").count(), 2, "{shown}");
        assert!(shown.contains(&format!(" you sent Bearer {stars}.")), "{shown}");
        assert!(shown.contains(&format!("x-echo: Bearer {stars}\n")), "{shown}");
        assert!(shown.contains(&format!("hello you sent {stars}.")), "{shown}");
        let row = |line: &str, key: String, body: &str| [line.to_owned(), key, "identity".to_owned(), body.to_owned()];
        assert_eq!(
            *received.lock().unwrap(),
            [
                row("GET /a?b", format!("Bearer {VALUE}"), ""),
                row("POST /c", VALUE.to_owned(), "hello"),
            ],
            "{protocol}"
        );
        assert!(
            events.contains(&format!("Network request to {host}: allowed, with a secret.")),
            "{events}"
        );
        let asked: Vec<String> = yard
            .upstream
            .requests()
            .iter()
            .map(|request| format!("{request:?}"))
            .collect();
        assert!(
            asked[0].contains(&format!("- ${{secret:KEY}} for {host}")),
            "{}",
            asked[0]
        );
        for place in [&events, &asked.concat(), &yard.program.log()] {
            assert!(!place.contains(VALUE), "{place}");
        }
    }
}

#[tokio::test]
async fn a_command_uses_a_secret_only_for_its_hosts() {
    let (host, received) = tls_server(b"http/1.1").await;
    let requests = [
        (host.as_str(), "/1", "NONE"),
        (&host, "/2", "ANYWHERE"),
        (&host, "/3", "ELSEWHERE"),
        ("example.com", "/4", "ELSEWHERE"),
        (&host, "/compressed", "KEY"),
        (&host, "/control", "KEY"),
    ]
    .map(|(host, path, name)| {
        format!("ask 'GET http://{host}{path} HTTP/1.1\\r\\nX-Key: ${{secret:{name}}}\\r\\n\\r\\n'\n")
    });
    let command = format!("{ASK}{}", requests.concat());
    let yard = Yard::start(&command, &host, &trusting()).await;
    yard.create("KEY", json!(["localhost"])).await;
    yard.create("ANYWHERE", json!([])).await;
    yard.create("ELSEWHERE", json!(["example.com"])).await;
    let shown = output(&yard.run().await);
    assert_eq!(shown.matches("HTTP/1.1 403 Forbidden").count(), 4, "{shown}");
    for why in [
        "the secret \"NONE\" does not exist",
        "the secret \"ANYWHERE\" has no hosts; commands can use it only if its hosts contain localhost",
        "the secret \"ELSEWHERE\" may not be sent to localhost",
        "example.com:443: refused, because the host is not on this server's list",
    ] {
        assert!(shown.contains(why), "{why}: {shown}");
    }
    assert_eq!(shown.matches("HTTP/1.1 502 Bad Gateway").count(), 1, "{shown}");
    assert!(shown.contains("the response is compressed"), "{shown}");
    assert_eq!(shown.matches("HTTP/1.1 201 Created").count(), 1, "{shown}");
    let system = yard.upstream.requests()[0].messages()[0].to_string();
    assert!(system.contains("- ${secret:KEY} for"), "{system}");
    assert!(
        !system.contains("ELSEWHERE") && !system.contains("ANYWHERE"),
        "{system}"
    );
    let lines: Vec<String> = received.lock().unwrap().iter().map(|row| row[0].clone()).collect();
    assert_eq!(lines, ["GET /compressed", "GET /control"]);
}

#[tokio::test]
async fn a_secret_is_not_sent_to_a_server_with_an_untrusted_certificate() {
    let (host, received) = tls_server(b"http/1.1").await;
    let command = format!("{ASK}ask 'GET http://{host}/ HTTP/1.1\\r\\nX-Key: ${{secret:KEY}}\\r\\n\\r\\n'");
    for (line, status) in [("exec \"$@\"", "502 Bad Gateway"), (&trusting(), "201 Created")] {
        let yard = Yard::start(&command, &host, line).await;
        yard.create("KEY", json!(["localhost"])).await;
        let shown = output(&yard.run().await);
        assert!(shown.starts_with(&format!("HTTP/1.1 {status}")), "{shown}");
        assert_eq!(shown.contains("certificate"), status.starts_with('5'), "{shown}");
    }
    assert_eq!(received.lock().unwrap().len(), 1);
}
