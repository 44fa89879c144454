//! Request ids, request metrics and the access log.
//!
//! `log.access` selects the requests in the log. The rate of log lines about clients without a valid token is limited
//! ([`LINES_PER_SECOND`]).

mod request_span;

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::body::Body;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use tonic::Status;
use tracing::{Instrument, debug, field::Empty, info, info_span, warn};
use uuid::Uuid;

use super::{
    answers::{Answers, run},
    owner::Owner,
    protocol::Protocol,
    status,
};
use crate::{
    config::LoggedRequests,
    error::Kind,
    id,
    telemetry::{names, traces},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Maximum length of a client's request id in characters.
const MAX_REQUEST_ID: usize = 128;
/// Maximum length of a path in the log and in traces, in bytes. Longer paths are truncated.
const MAX_PATH: usize = 256;
const LINES_PER_SECOND: NonZeroU32 = NonZeroU32::new(20).expect("20 is not zero");

/// Adds an account id to the log lines and the trace of the current request.
pub(super) fn note_account(account_id: Uuid) {
    traces::note_account(account_id);
    tracing::Span::current().record("account_id", tracing::field::display(account_id));
}

/// Counts, logs and traces a request. Replaces a missing or invalid request id.
pub(super) async fn log(lines: Arc<AccessLog>, mut request: Request<Body>, next: impl Answers<Body>) -> Response<Body> {
    let request_id = request_id(request.headers());
    if let Some(request_id) = &request_id {
        request.headers_mut().insert(REQUEST_ID, request_id.clone());
    }
    let logged = LoggedRequest::of(&request);
    let shown = request_id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or_default();
    let trace = request_span::of(&request);
    let span = info_span!(
        "request",
        request_id = shown,
        account_id = Empty,
        trace_id = trace.trace_id()
    );
    let work = async move {
        let mut response = trace.within(run(next, request)).await;
        if let Some(request_id) = request_id {
            response.headers_mut().insert(REQUEST_ID, request_id);
        }
        let refusal = Refusal::of(&response);
        logged.answered(&response, refusal.as_ref(), &lines);
        request_span::answered(trace, response, refusal.as_ref())
    };
    work.instrument(span).await
}

fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let received = headers.get(&REQUEST_ID).filter(|id| {
        !id.is_empty()
            && id.len() <= MAX_REQUEST_ID
            && id
                .as_bytes()
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    });
    received.cloned().or_else(|| {
        let mut text = Uuid::encode_buffer();
        HeaderValue::from_str(id::new().hyphenated().encode_lower(&mut text)).ok()
    })
}

struct LoggedRequest {
    protocol: &'static str,
    method: Method,
    uri: Uri,
    at: Instant,
}

impl LoggedRequest {
    fn of(request: &Request<Body>) -> Self {
        Self {
            protocol: Protocol::of(request).as_str(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            at: Instant::now(),
        }
    }

    fn path(&self) -> &str {
        cut(self.uri.path())
    }

    fn answered(&self, response: &Response<Body>, refusal: Option<&Refusal>, lines: &AccessLog) {
        let status = response.status();
        let took = self.at.elapsed();
        let counted = status.as_str().to_owned();
        metrics::counter!(names::REQUESTS, "protocol" => self.protocol, "status" => counted).increment(1);
        metrics::histogram!(names::REQUEST_SECONDS, "protocol" => self.protocol).record(took);
        let Some(refusal) = refusal else {
            macro_rules! line {
                ($level:ident) => {
                    $level!(protocol = self.protocol, method = %self.method, path = self.path(),
                        http_status = status.as_u16(), duration_ms = millis(took), "request answered")
                };
            }
            match lines.requests {
                LoggedRequests::All => line!(info),
                LoggedRequests::Refused => line!(debug),
                LoggedRequests::Off => {}
            }
            return;
        };
        let is_ours = refusal.is_ours();
        if lines.requests == LoggedRequests::Off && !is_ours {
            return;
        }
        let mut unlogged = 0;
        if refusal.kind == Kind::Unauthenticated || has_no_account(response) {
            let Some(skipped) = lines.unauthenticated.admit() else {
                return;
            };
            unlogged = skipped;
        }
        let unlogged = (unlogged > 0).then_some(unlogged);
        macro_rules! line {
            ($level:ident, $message:literal) => {
                $level!(protocol = self.protocol, method = %self.method, path = self.path(),
                    http_status = status.as_u16(), error_code = refusal.code, duration_ms = millis(took), unlogged, $message)
            };
        }
        if is_ours {
            line!(warn, "request failed");
        } else {
            line!(info, "request refused");
        }
    }
}

fn cut(path: &str) -> &str {
    &path[..path.floor_char_boundary(MAX_PATH)]
}

/// True if the request needed no credential of an account, or had none. `wire::caller` adds the owner.
fn has_no_account(response: &Response<Body>) -> bool {
    let owner = response.extensions().get::<Owner>();
    matches!(owner, Some(Owner::Address(_) | Owner::Unknown))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

struct Refusal {
    kind: Kind,
    code: String,
}

impl Refusal {
    /// True if the operator, not the caller, must act.
    fn is_ours(&self) -> bool {
        matches!(self.kind, Kind::Internal | Kind::Unavailable)
    }

    /// Finds the error in the stored Status of a Connect call, in the HTTP status, or in the gRPC status header.
    fn of(response: &Response<Body>) -> Option<Self> {
        if let Some(status) = response.extensions().get::<Status>() {
            return Some(Self::read(status));
        }
        let (status, headers) = (response.status(), response.headers());
        if status.is_client_error() || status.is_server_error() {
            let code = headers.get("x-error-code").and_then(|code| code.to_str().ok());
            let kind = match status.as_u16() {
                401 => Kind::Unauthenticated,
                503 => Kind::Unavailable,
                500.. => Kind::Internal,
                _ => Kind::Invalid,
            };
            return Some(Self {
                kind,
                code: code.unwrap_or_default().to_owned(),
            });
        }
        if headers.get("grpc-status").is_none_or(|status| status == "0") {
            return None;
        }
        Some(Self::read(&Status::from_header_map(headers)?))
    }

    fn read(status: &Status) -> Self {
        let fault = status::read(status);
        Self {
            kind: fault.kind,
            code: fault.reason.into_owned(),
        }
    }
}

/// Decides which requests are logged.
pub(super) struct AccessLog {
    requests: LoggedRequests,
    unauthenticated: Limited,
}

impl AccessLog {
    pub(super) fn new(requests: LoggedRequests) -> Self {
        Self {
            requests,
            unauthenticated: Limited::default(),
        }
    }
}

/// Limits the rate of log lines, and counts the omitted lines.
struct Limited {
    limiter: DefaultDirectRateLimiter,
    unlogged: AtomicU64,
}

impl Default for Limited {
    fn default() -> Self {
        Self {
            limiter: RateLimiter::direct(Quota::per_second(LINES_PER_SECOND)),
            unlogged: AtomicU64::new(0),
        }
    }
}

impl Limited {
    /// Returns the number of lines omitted since the last logged line. Returns `None` if no line may be logged now.
    fn admit(&self) -> Option<u64> {
        if self.limiter.check().is_ok() {
            return Some(self.unlogged.swap(0, Ordering::Relaxed));
        }
        self.unlogged.fetch_add(1, Ordering::Relaxed);
        None
    }
}
