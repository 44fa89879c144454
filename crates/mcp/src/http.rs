//! The HTTP client of all servers, and the rules for addresses and headers.
//!
//! All servers share one client, because each additional client costs 130 kB and 13 ms. Invariant: connections go
//! only to permitted addresses. The resolver checks host names, and `target` checks IP addresses in URLs. Redirects
//! are not followed. Proxies are not used, because a proxy would resolve host names itself.

use std::{collections::HashMap, fmt, net::IpAddr, sync::Arc, time::Duration};

use futures::stream::BoxStream;
use http::{HeaderName, HeaderValue};
use reqwest::{Client, Url, redirect::Policy};
use rmcp::{
    model::{ClientJsonRpcMessage, DiscoverResult, ServerJsonRpcMessage},
    transport::{
        StreamableHttpClientTransport,
        common::client_side_sse::ExponentialBackoff,
        streamable_http_client::{
            SseError, StreamableHttpClient, StreamableHttpClientTransportConfig, StreamableHttpError,
            StreamableHttpPostResponse, StreamableHttpResponseLimits,
        },
    },
};
use secrecy::{ExposeSecret, SecretString};
use sse_stream::Sse;

use crate::{
    Limits,
    error::{Error, Result},
    resolver::{AddressRule, PermittedHosts},
    revisions::{self, Revisions},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time until an idle connection is closed. Common servers close idle connections after five seconds, and a request
/// at that moment would be lost.
const IDLE_CONNECTION: Duration = Duration::from_secs(2);
/// Maximum time to send a notice, such as a cancellation.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_ERROR_BYTES: usize = 4 * 1024;
const RESUMPTIONS: usize = 2;

/// Headers that the protocol or the HTTP client sets.
const RESERVED: [&str; 10] = [
    "accept",
    "connection",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "origin",
    "te",
    "trailer",
    "upgrade",
];
const RESERVED_PREFIXES: [&str; 4] = ["content-", "mcp-", "proxy-", "transfer-"];

/// Returns whether the protocol or the HTTP client sets this header. A configuration must not set such a header.
pub fn is_reserved_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    RESERVED.contains(&name.as_str()) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The HTTP client of all servers. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    pub(crate) client: Client,
    permits: AddressRule,
    pub(crate) revisions: Arc<Revisions>,
}

/// A server's URL, and the headers of each request.
#[derive(Clone)]
pub struct Address {
    /// An http or https URL.
    pub url: String,
    /// The headers, whose values are secret.
    pub headers: Vec<(String, SecretString)>,
    /// Whether the server may use the transport of 2024, HTTP with server-sent events. The client tries this
    /// transport if the current transport fails.
    pub may_be_sse: bool,
}

/// An address that [`Http::target`] has checked.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) url: Arc<str>,
    pub(crate) headers: HashMap<HeaderName, HeaderValue>,
}

impl Http {
    /// Creates a client that connects only to addresses that `permits` accepts.
    ///
    /// # Errors
    /// [`Error::Client`] if the TLS library fails.
    pub fn new(permits: fn(IpAddr) -> bool) -> Result<Self> {
        let client = runyard_http_client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .dns_resolver(PermittedHosts {
                permits,
                refusal: NOT_PERMITTED,
            })
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_CONNECTION)
            .user_agent(concat!("runyard/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::Client)?;
        Ok(Self {
            client,
            permits,
            revisions: Arc::default(),
        })
    }

    pub(crate) fn target(&self, address: &Address) -> Result<Target> {
        let refused = |why: &str| Error::Refused(why.to_owned());
        let url = Url::parse(&address.url).map_err(|_| refused("the address is not a URL"))?;
        let host = url.host_str().ok_or_else(|| refused("the URL names no host"))?;
        // The resolver checks only host names, so IP addresses are checked here.
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if literal.is_ok_and(|address| !(self.permits)(address)) {
            return Err(refused(NOT_PERMITTED));
        }
        let mut headers = HashMap::new();
        for (name, value) in &address.headers {
            if is_reserved_header(name) {
                return Err(Error::Refused(format!(
                    "the header {name} must not be set, because the protocol sets it"
                )));
            }
            let invalid = || Error::Refused(format!("the header {name} is not valid"));
            let header = HeaderName::try_from(name.as_str()).map_err(|_| invalid())?;
            let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| invalid())?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        Ok(Target {
            url: url.as_str().into(),
            headers,
        })
    }

    /// With `known`, the answer of the server to `server/discover`, the server is not asked again.
    pub(crate) fn transport(
        &self,
        target: &Target,
        limits: &Limits,
        known: Option<Arc<DiscoverResult>>,
    ) -> StreamableHttpClientTransport<Checked> {
        let mut retries = ExponentialBackoff::default();
        retries.max_times = Some(RESUMPTIONS);
        let mut config = StreamableHttpClientTransportConfig::with_uri(Arc::clone(&target.url))
            .custom_headers(target.headers.clone())
            .max_sse_event_size(limits.message_bytes)
            .max_json_response_size(limits.message_bytes)
            .max_error_response_size(MAX_ERROR_BYTES)
            .control_request_timeout(NOTICE_TIMEOUT)
            // By default, the library repeats a call after its session has ended, although the tool may have run.
            .reinit_on_expired_session(false);
        config.retry_config = Arc::new(retries);
        let client = Checked {
            client: self.client.clone(),
            known,
        };
        StreamableHttpClientTransport::with_client(client, config)
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").finish_non_exhaustive()
    }
}

const NOT_PERMITTED: &str =
    "the address is private; only the operator can permit private addresses (mcp.allow_private_addresses)";

/// An HTTP client that rejects responses after which a request would wait forever: an acceptance without an answer,
/// and an error that names no request.
#[derive(Clone)]
pub(crate) struct Checked {
    client: Client,
    known: Option<Arc<DiscoverResult>>,
}

type Failure = StreamableHttpError<reqwest::Error>;

impl Checked {
    fn check(is_request: bool, response: StreamableHttpPostResponse) -> Result<StreamableHttpPostResponse, Failure> {
        let why = match &response {
            StreamableHttpPostResponse::Accepted if is_request => "the server accepted the request without an answer",
            StreamableHttpPostResponse::Json(ServerJsonRpcMessage::Error(error), _)
                if is_request && error.id.is_none() =>
            {
                "the server answered with an error that names no request"
            }
            _ => return Ok(response),
        };
        Err(StreamableHttpError::UnexpectedServerResponse(why.into()))
    }
}

impl StreamableHttpClient for Checked {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let limits = StreamableHttpResponseLimits::default();
        self.post_message_with_response_limits(uri, message, session_id, auth_header, custom_headers, limits)
            .await
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
        limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        if let Some(answer) = self.known.as_ref().and_then(|known| revisions::answer(known, &message)) {
            return Ok(StreamableHttpPostResponse::Json(answer, None));
        }
        let is_request = matches!(message, ClientJsonRpcMessage::Request(_));
        let response = self
            .client
            .post_message_with_response_limits(uri, message, session_id, auth_header, custom_headers, limits)
            .await?;
        Self::check(is_request, response)
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failure> {
        self.client
            .delete_session(uri, session_id, auth_header, custom_headers)
            .await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        self.client
            .get_stream(uri, session_id, last_event_id, auth_header, custom_headers)
            .await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
        max_sse_event_size: usize,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        self.client
            .get_stream_with_max_sse_event_size(
                uri,
                session_id,
                last_event_id,
                auth_header,
                custom_headers,
                max_sse_event_size,
            )
            .await
    }
}
