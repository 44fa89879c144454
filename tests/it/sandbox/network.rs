//! The proxy through which commands reach the network: which hosts it reaches, and what it refuses.
//!
//! The requests are made with bash alone. The servers listen on the host's loopback, which the proxy reaches only with
//! `allow_private_addresses`.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use runyard::{
    egress::Egress,
    sandbox::{Config, GATEWAY_PORT, Network, ProjectSandbox, Sandbox},
    secrets::references::{Filled, SecretSource},
};
use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{Yard, command, run, say, settings};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server on the host's loopback. It answers each connection once, and records what it receives.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let recorded = Arc::clone(&requests);
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(client, Arc::clone(&recorded)));
            }
        });
        Self {
            address,
            requests,
            accepting,
        }
    }

    fn port(&self) -> u16 {
        self.address.port()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn answer(mut client: TcpStream, recorded: Arc<Mutex<Vec<String>>>) {
    let mut received = Vec::new();
    while !received.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        if client.read_buf(&mut received).await.unwrap_or_default() == 0 {
            break;
        }
    }
    recorded.lock().unwrap().push(String::from_utf8(received).unwrap());
    let _ = client
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nserved")
        .await;
    let _ = client.shutdown().await;
}

/// Fills each reference with the same value.
struct Key;

#[async_trait]
impl SecretSource for Key {
    async fn fill(&self, _: &str, _: &SecretString) -> Result<Filled, String> {
        let value = SecretString::from("a value of the tests");
        Ok(Filled {
            text: value.clone(),
            values: vec![value],
        })
    }
}

type Notices = Arc<Mutex<Vec<String>>>;

fn proxied(allowed: &[String], allows_private: bool) -> Config {
    Config {
        network: Network::Proxy,
        allowed_hosts: allowed.to_vec(),
        allow_private_addresses: allows_private,
        ..settings()
    }
}

fn connected(yard: &Yard, config: &Config) -> (ProjectSandbox, Notices) {
    let notices = Notices::default();
    let told = Arc::clone(&notices);
    let gateway = Egress::of(
        config,
        Arc::new(move |text| told.lock().unwrap().push(text)),
        Arc::new(Key),
    );
    assert!(gateway.is_some());
    (yard.project(0).with_gateway(gateway), notices)
}

/// A script that sends a request to the proxy and prints the response.
fn request(head: &str) -> String {
    format!("exec 3<>/dev/tcp/127.0.0.1/{GATEWAY_PORT}; printf '{head}\\r\\n\\r\\n' >&3; cat <&3")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_reaches_allowed_hosts_and_no_others() {
    let yard = Yard::new();
    let (server, other) = (Server::start().await, Server::start().await);
    let allowed = format!("localhost:{}", server.port());
    let (sandbox, notices) = connected(&yard, &proxied(std::slice::from_ref(&allowed), true));
    let plain = format!("GET http://{allowed}/path?x HTTP/1.1\\r\\nHost: other\\r\\nAccept: all");
    let response = say(&sandbox, request(&plain)).await;
    assert!(
        response.starts_with("HTTP/1.1 200 OK") && response.ends_with("served"),
        "{response}"
    );
    assert_eq!(
        server.requests(),
        [format!(
            "GET /path?x HTTP/1.1\r\nHost: {allowed}\r\nConnection: close\r\nAccept: all\r\n\r\n"
        )]
    );
    // A tunnel passes everything unchanged.
    let tunnel = format!("CONNECT {allowed} HTTP/1.1\\r\\n\\r\\nGET /inner HTTP/1.1");
    let response = say(&sandbox, request(&tunnel)).await;
    assert!(
        response.starts_with("HTTP/1.1 200 Connection established"),
        "{response}"
    );
    assert!(response.ends_with("served"), "{response}");
    assert_eq!(server.requests()[1], "GET /inner HTTP/1.1\r\n\r\n");
    for refused in [
        format!("localhost:{}", other.port()),
        format!("127.0.0.1:{}", server.port()),
        "example.org:443".to_owned(),
    ] {
        for head in [
            format!("GET http://{refused}/ HTTP/1.1"),
            format!("CONNECT {refused} HTTP/1.1"),
        ] {
            let response = say(&sandbox, request(&head)).await;
            assert!(response.starts_with("HTTP/1.1 403 Forbidden"), "{head}: {response}");
            assert!(response.contains("not on this server"), "{response}");
        }
    }
    assert_eq!((server.requests().len(), other.requests().len()), (2, 0));
    let notices = notices.lock().unwrap();
    assert_eq!(notices.len(), 4, "{notices:#?}");
    assert_eq!(notices[0], format!("Network request to {allowed}: allowed."));
    assert!(
        notices[3].starts_with("Network request to example.org:443: refused"),
        "{notices:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_addresses_are_refused_even_if_their_names_are_allowed() {
    let yard = Yard::new();
    let server = Server::start().await;
    let allowed = [format!("localhost:{}", server.port()), "169.254.169.254".to_owned()];
    let (sandbox, notices) = connected(&yard, &proxied(&allowed, false));
    for host in &allowed {
        let response = say(&sandbox, request(&format!("GET http://{host}/ HTTP/1.1"))).await;
        assert!(response.starts_with("HTTP/1.1 403 Forbidden"), "{response}");
        assert!(response.contains("the address is not public"), "{response}");
    }
    // Requests with secrets are made by another client.
    for (host, status) in [(&allowed[0], "502 Bad Gateway"), (&allowed[1], "403 Forbidden")] {
        let head = format!("GET http://{host}/ HTTP/1.1\\r\\nX-Key: ${{secret:KEY}}");
        let response = say(&sandbox, request(&head)).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{response}");
        assert!(response.contains("the address is not public"), "{response}");
    }
    assert_eq!(server.requests().len(), 0);
    assert!(notices.lock().unwrap()[1].starts_with("Network request to 169.254.169.254:80: refused"));
    // Control: the switch for private addresses permits the same request.
    let (sandbox, _) = connected(&yard, &proxied(&allowed, true));
    let response = say(&sandbox, request(&format!("GET http://{}/ HTTP/1.1", allowed[0]))).await;
    assert!(response.ends_with("served"), "{response}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxy_is_the_only_way_out() {
    let yard = Yard::new();
    let server = Server::start().await;
    let allowed = [format!("localhost:{}", server.port())];
    let (sandbox, _) = connected(&yard, &proxied(&allowed, true));
    let direct = format!(
        "(exec 3<>/dev/tcp/127.0.0.1/{}) 2>&1; cat /proc/net/dev | tail -n +3 | cut -d: -f1",
        server.port()
    );
    let text = say(&sandbox, direct).await;
    assert!(text.contains("refused") && text.trim_end().ends_with(" lo"), "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
    // Without a gateway, nothing listens.
    let text = run(
        &yard.project(0),
        format!("(exec 3<>/dev/tcp/127.0.0.1/{GATEWAY_PORT}) 2>&1"),
    )
    .await
    .text;
    assert!(text.contains("refused"), "{text}");
    // Control: the proxy reaches the server.
    let response = say(&sandbox, request(&format!("GET http://{}/ HTTP/1.1", allowed[0]))).await;
    assert!(response.ends_with("served"), "{response}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_command_and_process_has_the_proxy_and_loses_it_at_its_end() {
    let yard = Yard::new();
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let allowed = format!("localhost:{}", server.local_addr().unwrap().port());
    let (sandbox, _) = connected(&yard, &proxied(std::slice::from_ref(&allowed), true));
    let tunnel = request(&format!("CONNECT {allowed} HTTP/1.1"));
    let process = sandbox.spawn(command(tunnel.clone())).await.unwrap();
    let (mut first, _) = timeout(PATIENCE, server.accept()).await.unwrap().unwrap();
    // Meanwhile, another process has another tunnel.
    let running = sandbox.spawn(command(tunnel)).await.unwrap();
    let (mut second, _) = timeout(PATIENCE, server.accept()).await.unwrap().unwrap();
    process.stop().await.unwrap();
    let mut rest = Vec::new();
    timeout(PATIENCE, first.read_to_end(&mut rest)).await.unwrap().unwrap();
    second.write_all(b"hello").await.unwrap();
    drop(second);
    // Control: the tunnel of the other process still works.
    let mut output = String::new();
    let mut running = running;
    timeout(PATIENCE, running.stdout.read_to_string(&mut output))
        .await
        .unwrap()
        .unwrap();
    assert!(output.ends_with("\r\n\r\nhello"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_names_the_proxy_and_package_managers_are_online() {
    let yard = Yard::new();
    let (sandbox, _) = connected(&yard, &proxied(&[], false));
    let names = "printf '%s|%s|%s|%s\\n' \"$HTTPS_PROXY\" \"$http_proxy\" \"$UV_OFFLINE\" \"$GOPROXY\"";
    assert_eq!(
        say(&sandbox, names).await,
        "http://127.0.0.1:3128|http://127.0.0.1:3128||\n"
    );
    // Control: without a proxy, they are offline.
    assert_eq!(say(&yard.project(0), names).await, "||1|off\n");
}

#[tokio::test]
async fn the_model_is_told_the_hosts() {
    let config = proxied(&["pypi.org".to_owned(), "*.example.org".to_owned()], false);
    let offer = Yard::with(&config).sandboxes.describe_for_model().await;
    assert!(
        offer.contains("only these hosts, over HTTP and HTTPS: pypi.org, *.example.org."),
        "{offer}"
    );
    assert!(!offer.contains("There is no network"), "{offer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_requests_are_refused() {
    let yard = Yard::new();
    let (sandbox, notices) = connected(&yard, &proxied(&["example.org".to_owned()], true));
    for (head, status) in [
        ("GET / HTTP/1.1", "400 Bad Request"),
        ("GET https://example.org/ HTTP/1.1", "400 Bad Request"),
        (
            "POST http://example.org/ HTTP/1.1\\r\\nTransfer-Encoding: chunked",
            "411 Length Required",
        ),
    ] {
        let response = say(&sandbox, request(head)).await;
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}")),
            "{head}: {response}"
        );
    }
    assert!(notices.lock().unwrap().is_empty());
}
