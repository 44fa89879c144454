//! Reads the request head that a client sends to the proxy (RFC 9110, RFC 9112).
//!
//! The client is a command, so nothing in the head is trusted. The proxy accepts `CONNECT host:port` and requests with an
//! absolute `http` URI. The host is taken from the request line only; the `Host` header is replaced.

use std::{fmt::Write as _, time::Duration};

use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

use super::hosts::authority;
use crate::secrets::references;

/// Maximum size of a request head in bytes.
const MAX_HEAD_BYTES: usize = 32 << 10;
/// Maximum time until the head has arrived.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Headers that the proxy does not forward: those of the connection to the proxy, and those that it sets itself.
const OWN_HEADERS: &[&str] = &[
    "connection",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "upgrade",
];

/// A request to the proxy.
pub struct Request {
    /// Name or address in lower case.
    pub host: String,
    pub port: u16,
    pub method: Method,
    /// Bytes that arrived after the head.
    pub rest: Vec<u8>,
}

pub enum Method {
    /// The client asks for a tunnel.
    Connect,
    /// The client sends one request.
    Plain(Plain),
}

/// One request, as the proxy forwards it.
pub struct Plain {
    pub verb: String,
    /// Host and port as the client wrote them.
    pub authority: String,
    /// Path and query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body_bytes: u64,
}

impl Plain {
    /// Returns the head for the server.
    pub fn head(&self) -> String {
        let Self {
            verb, authority, path, ..
        } = self;
        let mut head = format!("{verb} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n");
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        head
    }

    /// Returns the number of references to secrets in the headers.
    pub fn references(&self) -> usize {
        self.headers.iter().map(|(_, value)| references::count(value)).sum()
    }
}

/// The reason why a head is refused.
#[derive(Debug)]
pub struct Refusal {
    pub status: &'static str,
    pub message: String,
}

fn refuse(status: &'static str, message: &str) -> Refusal {
    Refusal {
        status,
        message: message.to_owned(),
    }
}

fn bad(message: &str) -> Refusal {
    refuse("400 Bad Request", message)
}

/// Reads and parses the head.
pub async fn read(client: &mut TcpStream) -> Result<Request, Refusal> {
    let mut received = Vec::new();
    let reading = async {
        loop {
            if let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                return Ok(end);
            }
            if received.len() > MAX_HEAD_BYTES {
                return Err(refuse(
                    "431 Request Header Fields Too Large",
                    "the request head is too large",
                ));
            }
            match client.read_buf(&mut received).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Err(bad("the request head is incomplete")),
            }
        }
    };
    let end = timeout(HEAD_TIMEOUT, reading)
        .await
        .unwrap_or_else(|_| Err(refuse("408 Request Timeout", "the request head did not arrive in time")))?;
    let rest = received.split_off(end + 4);
    received.truncate(end);
    let text = String::from_utf8(received).map_err(|_| bad("the request head is not UTF-8"))?;
    parse(&text, rest)
}

fn parse(text: &str, rest: Vec<u8>) -> Result<Request, Refusal> {
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default();
    if text.replace("\r\n", "").contains(['\r', '\n', '\0']) {
        return Err(bad("the request head contains a bare CR, LF or NUL"));
    }
    let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else {
        return Err(bad("the request line is invalid"));
    };
    if !version.starts_with("HTTP/1.") || method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(bad("the request line is invalid"));
    }
    if method == "CONNECT" {
        let (host, port) = authority(target).ok_or_else(|| bad("the target of CONNECT must be HOST:PORT"))?;
        return Ok(Request {
            host,
            port: port.ok_or_else(|| bad("the target of CONNECT must be HOST:PORT"))?,
            method: Method::Connect,
            rest,
        });
    }
    let absolute = target
        .get(..7)
        .filter(|scheme| scheme.eq_ignore_ascii_case("http://"))
        .and_then(|_| target.get(7..))
        .ok_or_else(|| bad("the proxy accepts CONNECT, and requests with a URI that starts with http://"))?;
    let end = absolute.find(['/', '?', '#']).unwrap_or(absolute.len());
    let (named, path) = absolute.split_at(end);
    let (host, port) = authority(named).ok_or_else(|| bad("the host of the URI is invalid"))?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    let (headers, body_bytes) = headers(lines)?;
    let plain = Plain {
        verb: method.to_owned(),
        authority: named.to_owned(),
        path: format!("{slash}{path}"),
        headers,
        body_bytes,
    };
    // A request with secrets is sent over TLS.
    let default_port = if plain.references() > 0 { 443 } else { 80 };
    Ok(Request {
        host,
        port: port.unwrap_or(default_port),
        method: Method::Plain(plain),
        rest,
    })
}

/// Returns the headers that the proxy forwards, and the size of the body.
fn headers<'a>(lines: impl Iterator<Item = &'a str>) -> Result<(Vec<(String, String)>, u64), Refusal> {
    let (mut headers, mut body_bytes) = (Vec::new(), None);
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| bad("a header is invalid"))?;
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(bad("a header is invalid"));
        }
        let (key, value) = (name.to_ascii_lowercase(), value.trim());
        if key == "transfer-encoding" {
            return Err(refuse(
                "411 Length Required",
                "the proxy does not support Transfer-Encoding; send the body with a Content-Length, or use https",
            ));
        }
        if key == "content-length" {
            let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let size = value.parse().ok().filter(|_| is_number && body_bytes.is_none());
            body_bytes = Some(size.ok_or_else(|| bad("the Content-Length is invalid"))?);
        }
        if !OWN_HEADERS.contains(&key.as_str()) {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok((headers, body_bytes.unwrap_or_default()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "a panic fails the test")]
mod tests {
    use super::*;

    #[test]
    fn a_plain_request_is_rewritten_for_the_server() {
        let text = "GET http://Example.org:8080/a?b HTTP/1.1\r\nHost: other.org\r\nProxy-Connection: keep-alive\r\nAccept: */*";
        let request = parse(text, b"rest".to_vec()).unwrap();
        assert_eq!((request.host.as_str(), request.port), ("example.org", 8080));
        assert_eq!(request.rest, b"rest");
        let Method::Plain(plain) = request.method else { panic!() };
        assert_eq!(
            plain.head(),
            "GET /a?b HTTP/1.1\r\nHost: Example.org:8080\r\nConnection: close\r\nAccept: */*\r\n\r\n"
        );
        assert_eq!(plain.body_bytes, 0);
        let text = "POST http://a.org HTTP/1.1\r\nContent-Length: 5";
        let Method::Plain(plain) = parse(text, Vec::new()).unwrap().method else {
            panic!()
        };
        let head = plain.head();
        assert!(head.starts_with("POST / HTTP/1.1\r\n"), "{head}");
        assert_eq!(plain.body_bytes, 5);
    }

    #[test]
    fn a_request_with_secrets_goes_to_the_port_of_https() {
        for (text, port, references) in [
            ("GET http://a.org/ HTTP/1.1\r\nX-Key: ${secret:KEY}", 443, 1),
            (
                "GET http://a.org:8443/ HTTP/1.1\r\nX: ${secret:A}${secret:B}\r\nY: ${secret:A}",
                8443,
                3,
            ),
            ("GET http://a.org/${secret:KEY} HTTP/1.1\r\nX-Key: $secret:KEY", 80, 0),
            // Headers of the connection to the proxy are not forwarded.
            (
                "GET http://a.org/ HTTP/1.1\r\nProxy-Authorization: ${secret:KEY}",
                80,
                0,
            ),
        ] {
            let request = parse(text, Vec::new()).unwrap();
            let Method::Plain(plain) = request.method else { panic!() };
            assert_eq!((request.port, plain.references()), (port, references), "{text}");
        }
    }

    #[test]
    fn a_tunnel_names_its_host_and_port() {
        let request = parse("CONNECT pypi.org:443 HTTP/1.1\r\nHost: x", Vec::new()).unwrap();
        assert_eq!((request.host.as_str(), request.port), ("pypi.org", 443));
        assert!(matches!(request.method, Method::Connect));
    }

    #[test]
    fn invalid_heads_are_refused() {
        for (text, status) in [
            ("", "400"),
            ("GET / HTTP/1.1", "400"),
            ("GET https://a.org/ HTTP/1.1", "400"),
            ("GET ftp://a.org/ HTTP/1.1", "400"),
            ("GET http://user@a.org/ HTTP/1.1", "400"),
            ("GET http:///x HTTP/1.1", "400"),
            ("GET  http://a.org/ HTTP/1.1", "400"),
            ("GET http://a.org/ HTTP/2", "400"),
            ("CONNECT a.org HTTP/1.1", "400"),
            ("CONNECT a.org:443/x HTTP/1.1", "400"),
            ("GET http://a.org/ HTTP/1.1\r\n folded: x", "400"),
            ("GET http://a.org/ HTTP/1.1\r\nno colon", "400"),
            ("GET http://a.org/ HTTP/1.1\r\nx: a\nHost: b", "400"),
            (
                "POST http://a.org/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1",
                "400",
            ),
            ("POST http://a.org/ HTTP/1.1\r\nContent-Length: +1", "400"),
            ("POST http://a.org/ HTTP/1.1\r\nTransfer-Encoding: chunked", "411"),
        ] {
            let refusal = parse(text, Vec::new()).err().unwrap_or_else(|| panic!("{text:?}"));
            assert!(refusal.status.starts_with(status), "{text:?}: {refusal:?}");
        }
    }
}
