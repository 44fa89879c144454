//! How long a request's body is waited for, on every door: a client that stalls, or sends a byte now and then, must not hold
//! a file, a buffer and a task for ever.
//!
//! Only waiting counts. What has arrived when it is asked for costs no timer, and a service that takes its time over a body
//! takes nothing from its client's. What a service leaves unread is let go by [`rest`].

use std::{
    error::Error as StdError,
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Version};
use http_body::{Body as _, Frame, SizeHint};
use tokio::{
    runtime::Handle,
    time::{Instant, Sleep},
};
use tonic::Status;
use tower::{BoxError, Service};

use super::rest;
use crate::error::Error;

/// Services whose clients ask one question after another over a stream that they keep open; each is small.
const CONVERSATIONS: &str = "/grpc.reflection.";

/// How long a body is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Without a byte.
    pub idle: Duration,
    /// In all, besides what its bytes are given.
    pub grace: Duration,
    /// Bytes that give it one more second.
    pub bytes_per_second: u64,
}

impl Default for Patience {
    /// 64 kbit/s is what the slowest telephone manages from which somebody would send a file.
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30),
            grace: Duration::from_secs(30),
            bytes_per_second: 8 * 1024,
        }
    }
}

/// The layer.
#[derive(Clone)]
pub struct Patient<S> {
    inner: S,
    patience: Patience,
}

impl<S> Patient<S> {
    /// Puts the layer before a service.
    pub fn new(inner: S, patience: Patience) -> Self {
        Self { inner, patience }
    }
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Patient<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        if request.body().is_end_stream() || request.uri().path().starts_with(CONVERSATIONS) {
            return self.inner.call(request);
        }
        let patience = self.patience;
        let is_shared = request.version() == Version::HTTP_2;
        self.inner
            .call(request.map(|body| Body::new(Awaited::new(body, patience, is_shared))))
    }
}

/// A body that fails when it is waited for too long.
struct Awaited {
    body: Body,
    /// Whether other calls are on its connection.
    is_shared: bool,
    patience: Patience,
    received: u64,
    /// How long it was waited for before.
    waited: Duration,
    /// Since when it is waited for, and until when that may go on.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Awaited {
    fn new(body: Body, patience: Patience, is_shared: bool) -> Self {
        Self {
            body,
            is_shared,
            patience,
            received: 0,
            waited: Duration::ZERO,
            waiting: None,
        }
    }

    /// What may still be waited for the next byte.
    fn left(&self) -> Duration {
        let earned = Duration::from_secs(self.received / self.patience.bytes_per_second.max(1));
        let all = self.patience.grace.saturating_add(earned);
        all.saturating_sub(self.waited).min(self.patience.idle)
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if self.is_shared
            && !self.body.is_end_stream()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(rest::drain(std::mem::take(&mut self.body)));
        }
    }
}

impl http_body::Body for Awaited {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            if let Some((since, _)) = this.waiting.take() {
                this.waited += since.elapsed();
            }
            if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
                this.received += data.len() as u64;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let left = this.left();
        let (_, timer) = this
            .waiting
            .get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(left))));
        timer.as_mut().poll(context).map(|()| Some(Err(Stalled::new().into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body did not come in time. Each door finds what it tells its client: HTTP that the body was cut, gRPC the Status.
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

const SENTENCE: &str = "the request stopped, or came too slowly";

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
