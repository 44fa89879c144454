//! Limits the time that a client may take to send a request body, for every protocol. The limit counts only the time
//! during which the server waits for bytes.

use std::{
    error::Error as StdError,
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tower::BoxError;

use super::{
    answers::{Answers, run},
    unread_body::UnreadBody,
};
use crate::error::Error;

/// Path prefix of gRPC reflection. Reflection has no body timeout, because its clients keep one request stream open.
const CONVERSATIONS: &str = "/grpc.reflection.";

#[derive(Clone, Copy, Debug)]
pub struct BodyTimeout {
    /// Maximum time to wait for the next byte.
    pub idle: Duration,
    /// Maximum total time to wait for bytes. Received bytes extend this time; see `bytes_per_second`.
    pub grace: Duration,
    /// Number of received bytes that extend `grace` by one second.
    pub bytes_per_second: u64,
}

impl Default for BodyTimeout {
    /// The default of 8 KiB per second is the rate of a very slow mobile connection.
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30),
            grace: Duration::from_secs(30),
            bytes_per_second: 8 * 1024,
        }
    }
}

/// Limits the time for the body of a request. Adds `Connection: close` to the response if the server will close the
/// connection instead of reading the rest of the body.
pub async fn limit(timeout: BodyTimeout, request: Request<Body>, next: impl Answers<Body>) -> Response<Body> {
    if request.body().is_end_stream() {
        return run(next, request).await;
    }
    let timeout = (!request.uri().path().starts_with(CONVERSATIONS)).then_some(timeout);
    let rest = UnreadBody::of(&request);
    let verdict = rest.verdict();
    let request = request.map(|body| Body::new(Awaited::new(body, timeout, rest)));
    let mut answer = run(next, request).await;
    verdict.announce(&mut answer);
    answer
}

struct Awaited {
    body: Body,
    rest: UnreadBody,
    /// `None` if the body has no time limit.
    timeout: Option<BodyTimeout>,
    received: u64,
    /// Total time of all completed waits for bytes.
    waited: Duration,
    /// Start and timer of the current wait for bytes.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Open,
    Stalled,
    Ended,
}

impl Awaited {
    fn new(body: Body, timeout: Option<BodyTimeout>, rest: UnreadBody) -> Self {
        Self {
            body,
            rest,
            timeout,
            received: 0,
            waited: Duration::ZERO,
            waiting: None,
            progress: Progress::Open,
        }
    }

    /// Returns the maximum time to wait for the next byte.
    fn left(&self, timeout: BodyTimeout) -> Duration {
        let earned = Duration::from_secs(self.received / timeout.bytes_per_second.max(1));
        let all = timeout.grace.saturating_add(earned);
        all.saturating_sub(self.waited).min(timeout.idle)
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        match self.progress {
            Progress::Ended => {}
            Progress::Open if self.body.is_end_stream() => {}
            Progress::Open => self.rest.take(std::mem::take(&mut self.body)),
            Progress::Stalled => self.rest.give_up(),
        }
    }
}

impl http_body::Body for Awaited {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        this.rest.record_demand();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            if let Some((since, _)) = this.waiting.take() {
                this.waited += since.elapsed();
            }
            if !matches!(frame, Some(Ok(_))) {
                this.progress = Progress::Ended;
            }
            if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
                this.received += data.len() as u64;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let Some(timeout) = this.timeout else {
            return Poll::Pending;
        };
        let left = this.left(timeout);
        let (_, timer) = this
            .waiting
            .get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(left))));
        timer.as_mut().poll(context).map(|()| {
            this.progress = Progress::Stalled;
            Some(Err(Stalled::new().into()))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The error of a body that timed out. The transcoder reports the error to HTTP clients as a body that ended early.
/// tonic reports `status` to gRPC clients.
#[derive(Debug)]
struct Stalled {
    status: Status,
}

impl Stalled {
    fn new() -> Self {
        Self {
            status: Error::invalid(SENTENCE).into(),
        }
    }
}

const SENTENCE: &str = "the request body stalled or arrived too slowly";

impl fmt::Display for Stalled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(SENTENCE)
    }
}

impl StdError for Stalled {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.status)
    }
}
