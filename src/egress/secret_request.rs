//! Requests of commands that use secrets of the account.
//!
//! A command writes `${secret:NAME}` in a header of a plain HTTP request. The proxy inserts the value and sends the
//! request over TLS, because a tunnel would hide the headers from the proxy. The value does not enter the sandbox: if the
//! server repeats it, asterisks take its place.

use std::{
    io::{self, Cursor},
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::StreamExt as _;
use reqwest::{
    Body, Client, Method, RequestBuilder, Response, Url,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use runyard_mcp::{AddressRule, PermittedHosts};
use secrecy::{ExposeSecret, SecretString};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
};
use tokio_util::{io::ReaderStream, sync::CancellationToken};

use super::{
    CONNECT,
    head::Plain,
    mask::{Masker, mask},
    notices::Verdict,
    relay::{CHUNK_BYTES, Meter},
};
use crate::{addresses::is_public, secrets::references::SecretSource};

/// Maximum number of references in the headers of a request.
const MAX_REFERENCES: usize = 16;
/// Headers of a request that the proxy does not forward: it sets the first, and it does not wait for the second. A range
/// could end within a value, which would then not be found in the response.
const REQUEST_HEADERS: &[&str] = &["accept-encoding", "expect", "range", "if-range"];
/// Headers of a response that belong to the connection to the server.
const RESPONSE_HEADERS: &[&str] = &[
    "alt-svc",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The reason why a request is not sent.
pub struct Refused {
    pub verdict: Verdict,
    /// A sentence for the command.
    pub why: String,
}

impl Refused {
    fn new(verdict: Verdict, why: impl Into<String>) -> Self {
        Self {
            verdict,
            why: why.into(),
        }
    }
}

impl From<Verdict> for Refused {
    fn from(verdict: Verdict) -> Self {
        Self::new(verdict, verdict.describe())
    }
}

/// A request whose headers contain secrets.
pub struct Prepared {
    request: RequestBuilder,
    values: Vec<SecretString>,
    body_bytes: u64,
}

/// Sends the requests of one run.
pub struct Sender {
    source: Arc<dyn SecretSource>,
    allows_private: bool,
    /// Built for the first request, because most runs send none.
    client: OnceLock<Client>,
}

impl Sender {
    pub fn new(source: Arc<dyn SecretSource>, allows_private: bool) -> Self {
        Self {
            source,
            allows_private,
            client: OnceLock::new(),
        }
    }

    /// Inserts the secrets. The caller has checked that commands may reach the host.
    pub async fn prepare(&self, (host, port): (&str, u16), plain: &Plain) -> Result<Prepared, Refused> {
        let name = host.trim_start_matches('[').trim_end_matches(']');
        // The resolver checks only host names, so an address is checked here.
        if !self.allows_private && name.parse::<IpAddr>().is_ok_and(|address| !is_public(address)) {
            return Err(Verdict::Private.into());
        }
        if plain.references() > MAX_REFERENCES {
            let why = format!("a request can use up to {MAX_REFERENCES} secrets");
            return Err(Refused::new(Verdict::NoSecret, why));
        }
        let invalid =
            |what: &str| Refused::new(Verdict::Failed("the request is invalid"), format!("{what} is invalid"));
        let verb = Method::from_bytes(plain.verb.as_bytes()).map_err(|_| invalid("the method"))?;
        let url = format!("https://{host}:{port}{}", plain.path);
        let url = Url::parse(&url).map_err(|_| invalid("the URI"))?;
        let (mut headers, mut values) = (HeaderMap::new(), Vec::new());
        for (name, value) in &plain.headers {
            if REQUEST_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
                continue;
            }
            let text = SecretString::from(value.as_str());
            let filled = self.source.fill(host, &text).await;
            let filled = filled.map_err(|why| Refused::new(Verdict::NoSecret, why))?;
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("a header"))?;
            let mut value = HeaderValue::from_str(filled.text.expose_secret())
                .map_err(|_| invalid(&format!("the header {name}")))?;
            value.set_sensitive(true);
            headers.append(name, value);
            values.extend(filled.values);
        }
        // The proxy cannot find a value in a compressed response.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let client = self.client().map_err(|error| {
            tracing::error!(%error, "could not build the HTTP client for requests with secrets");
            Refused::from(Verdict::Failed("the service cannot send the request"))
        })?;
        Ok(Prepared {
            request: client.request(verb, url).headers(headers),
            values,
            body_bytes: plain.body_bytes,
        })
    }

    fn client(&self) -> reqwest::Result<Client> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let permits: AddressRule = if self.allows_private { |_| true } else { is_public };
        let client = runyard_http_client::builder()
            .https_only(true)
            .redirect(Policy::none())
            .no_proxy()
            .dns_resolver(PermittedHosts {
                permits,
                refusal: "the address is not public",
            })
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(self.client.get_or_init(|| client).clone())
    }
}

impl Prepared {
    /// Sends the request with its body, which starts with the bytes that have already arrived, and waits for the head of
    /// the response.
    pub async fn send(
        self,
        (arrived, from_client): (Vec<u8>, OwnedReadHalf),
        meter: &Arc<Meter>,
    ) -> Result<Answer, Refused> {
        let mut request = self.request;
        let finished = CancellationToken::new();
        if self.body_bytes > 0 {
            let body = Cursor::new(arrived).chain(from_client).take(self.body_bytes);
            let spending = Arc::clone(meter);
            let chunks = ReaderStream::with_capacity(body, CHUNK_BYTES).map(move |chunk| {
                let chunk = chunk?;
                spending.spend(chunk.len())?;
                Ok::<_, io::Error>(chunk)
            });
            request = request.body(Body::wrap_stream(chunks.take_until(finished.clone().cancelled_owned())));
        }
        let failed = |why: String| Refused::new(Verdict::Failed("the host cannot be reached"), why);
        let sent = meter.within_idle(async { Ok(request.send().await) }).await;
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(failed(reason(&error.without_url()))),
            Err(error) => return Err(failed(error.to_string())),
        };
        if response
            .headers()
            .get(CONTENT_ENCODING)
            .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
        {
            let why = "the response is compressed, so the proxy cannot remove the secret from it";
            return Err(Refused::new(Verdict::Failed("the response is compressed"), why));
        }
        Ok(Answer {
            response,
            values: self.values,
            _finished: finished.drop_guard(),
        })
    }
}

/// Returns the innermost cause.
fn reason(error: &reqwest::Error) -> String {
    let mut innermost: &(dyn std::error::Error + 'static) = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string().replace(char::is_control, " ")
}

/// A response without its body.
pub struct Answer {
    response: Response,
    values: Vec<SecretString>,
    /// Ends the sending of the body.
    _finished: tokio_util::sync::DropGuard,
}

impl Answer {
    /// Returns the response to the client, without the values of the secrets.
    pub async fn forward(mut self, to_client: &mut OwnedWriteHalf, meter: &Meter) -> io::Result<()> {
        let outcome = self.copy(to_client, meter).await;
        if outcome.is_err() {
            // A reset tells the client that the response is incomplete.
            SockRef::from(to_client.as_ref()).set_linger(Some(Duration::ZERO))?;
        }
        outcome
    }

    async fn copy(&mut self, to_client: &mut OwnedWriteHalf, meter: &Meter) -> io::Result<()> {
        meter.within_idle(to_client.write_all(&self.head())).await?;
        let mut masker = Masker::new(&self.values);
        loop {
            let chunk = meter
                .within_idle(async { self.response.chunk().await.map_err(io::Error::other) })
                .await?;
            let Some(chunk) = chunk else {
                meter.within_idle(to_client.write_all(&masker.finish())).await?;
                return meter.within_idle(to_client.shutdown()).await;
            };
            meter.spend(chunk.len())?;
            meter.within_idle(to_client.write_all(&masker.push(&chunk))).await?;
        }
    }

    fn head(&self) -> Vec<u8> {
        let status = self.response.status();
        let reason = status.canonical_reason().unwrap_or_default();
        let mut head = format!("HTTP/1.1 {} {reason}\r\nConnection: close\r\n", status.as_u16()).into_bytes();
        for (name, value) in self.response.headers() {
            if !RESPONSE_HEADERS.contains(&name.as_str()) {
                head.extend_from_slice(name.as_str().as_bytes());
                head.extend_from_slice(b": ");
                head.extend(mask(value.as_bytes(), &self.values));
                head.extend_from_slice(b"\r\n");
            }
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}
