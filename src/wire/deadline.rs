//! Ends calls and their streams at the client's deadline, for every protocol. The client sends the timeout in the
//! header `grpc-timeout` or, with the Connect protocol, in `connect-timeout-ms`.
//!
//! After the deadline, a call without a response fails with DEADLINE_EXCEEDED, and an open stream ends with
//! DEADLINE_EXCEEDED trailers.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use futures::TryFutureExt;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use runyard_transcode::connect::{self, Connect};
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tower::{ServiceExt, service_fn};

use super::{
    answers::{Answers, run},
    protocol::Protocol,
    refusal,
};
use crate::error::{Code, Error, Result};

/// Maximum timeout. A call with a longer timeout has no deadline.
const MAX_TIMEOUT: Duration = Duration::from_hours(24);

#[derive(Clone, Copy, Debug)]
struct Expires(Instant);

pub(super) async fn end_call(connect: Connect, mut request: Request<Body>, next: impl Answers<Body>) -> Response<Body> {
    let protocol = Protocol::of(&request);
    let timeout = match timeout_of(protocol, request.headers()) {
        Ok(Some(timeout)) if timeout <= MAX_TIMEOUT => timeout,
        Ok(_) => return run(next, request).await,
        Err(error) => return refusal::render(&connect, protocol, error),
    };
    let until = Instant::now() + timeout;
    request.extensions_mut().insert(Expires(until));
    match tokio::time::timeout_at(until, run(next, request)).await {
        // The timer is imprecise: a response may arrive after the deadline but before the timer fires.
        Ok(response) if Instant::now() < until => response,
        _ => refusal::render(&connect, protocol, passed()),
    }
}

pub(super) fn end_streams(grpc: impl Answers<tonic::body::Body>) -> impl Answers<tonic::body::Body> {
    service_fn(move |request: Request<tonic::body::Body>| {
        let expires = request.extensions().get::<Expires>().copied();
        let bound = move |answer: Response<tonic::body::Body>| match expires {
            Some(Expires(until)) => answer.map(|body| Expiring::until(until, body)),
            None => answer,
        };
        grpc.clone().oneshot(request).map_ok(bound)
    })
}

struct Expiring {
    body: Option<tonic::body::Body>,
    until: Instant,
    /// The timer for the deadline, which is created at the first wait for a frame.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Expiring {
    fn until(until: Instant, body: tonic::body::Body) -> tonic::body::Body {
        tonic::body::Body::new(Self {
            body: Some(body),
            until,
            timer: None,
        })
    }
}

impl http_body::Body for Expiring {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        // The deadline is checked before the body is polled, so that a stream with endless data also ends.
        if Instant::now() < this.until {
            if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
                return Poll::Ready(frame);
            }
            let timer = this
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(this.until)));
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        // Dropping the body stops the service.
        this.body = None;
        let mut trailers = HeaderMap::new();
        let status = Status::from(passed());
        Poll::Ready(Some(match status.add_header(&mut trailers) {
            Ok(()) => Ok(Frame::trailers(trailers)),
            Err(fault) => Err(fault),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

fn passed() -> Error {
    Error::new(Code::DeadlineExceeded, "the deadline of the call has passed")
}

fn timeout_of(protocol: Protocol, headers: &HeaderMap) -> Result<Option<Duration>> {
    if let Protocol::Connect(_) = protocol {
        return connect::timeout(headers).map_err(|error| Error::invalid(error.to_string()));
    }
    let Some(text) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    match text.to_str().ok().and_then(read_timeout) {
        Some(timeout) => Ok(Some(timeout)),
        None => Err(Error::invalid("grpc-timeout must be a timeout such as 5S or 100m")),
    }
}

// Parses up to eight digits and a unit: the format of "Timeout" in the specification of gRPC over HTTP/2.
fn read_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}
