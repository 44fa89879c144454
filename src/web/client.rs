//! The HTTP clients of fetches and searches, and the reading of bounded responses. Webhooks use parts of it too.

use std::{error::Error as StdError, time::Duration};

use reqwest::{ClientBuilder, RequestBuilder, Response, redirect::Policy};
use runyard_mcp::{AddressRule, PermittedHosts};
use tokio::time::timeout;

/// Maximum time to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size in bytes of the reason of a failed request.
const MAX_REASON: usize = 300;

pub(super) const NOT_PERMITTED: &str =
    "the host has no public address; only the operator can permit private addresses (web.allow_private_addresses)";

/// Returns a client that follows no redirects. The caller checks each target itself.
pub(crate) fn client() -> ClientBuilder {
    runyard_http_client::builder()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("runyard/", env!("CARGO_PKG_VERSION")))
}

/// Returns a client that connects only to permitted addresses. A host name is resolved and checked for each connection.
/// A proxy would resolve host names itself, so proxies are not used. The caller checks IP addresses in URLs.
pub(super) fn checking(permits: AddressRule) -> ClientBuilder {
    client()
        .no_proxy()
        .dns_resolver(PermittedHosts {
            permits,
            refusal: NOT_PERMITTED,
        })
        .pool_max_idle_per_host(0)
}

/// Sends a request and waits for the head of the response.
///
/// # Errors
/// The reason, without the URL.
pub(crate) async fn send(request: RequestBuilder, idle: Duration) -> Result<Response, String> {
    let sent = timeout(idle, request.send()).await.map_err(|_| silent(idle))?;
    sent.map_err(|error| reason(&error))
}

/// A body, or the beginning of a body that is larger than the limit.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_cut: bool,
}

/// Reads up to `max_bytes` of the body of a response.
///
/// # Errors
/// The reason, without the URL.
pub(crate) async fn read(mut response: Response, max_bytes: usize, idle: Duration) -> Result<Body, String> {
    let mut bytes = Vec::new();
    loop {
        let chunk = timeout(idle, response.chunk()).await.map_err(|_| silent(idle))?;
        let Some(chunk) = chunk.map_err(|error| reason(&error))? else {
            return Ok(Body { bytes, is_cut: false });
        };
        let room = max_bytes - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok(Body { bytes, is_cut: true });
        }
    }
}

fn silent(idle: Duration) -> String {
    format!("the server sent nothing for {} seconds", idle.as_secs())
}

/// Returns the innermost cause. Outer errors contain the URL.
fn reason(error: &reqwest::Error) -> String {
    let mut innermost: &(dyn StdError + 'static) = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    if innermost.is::<reqwest::Error>() {
        return if error.is_timeout() {
            "the connection timed out".to_owned()
        } else {
            "the request failed".to_owned()
        };
    }
    let text = innermost.to_string();
    let text: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    text[..text.floor_char_boundary(MAX_REASON)].to_owned()
}
