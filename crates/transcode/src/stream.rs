//! Renders a streamed gRPC response as server-sent events or newline-delimited JSON.
//!
//! The headers are sent immediately, which shows the client that it is connected. A failure before the headers
//! becomes an HTTP error. A later failure ends the stream. Server-sent events then end with an event named `fault`;
//! browsers reserve the name `error`. Newline-delimited JSON ends with an object whose only key is `fault`.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum_core::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use prost_reflect::MessageDescriptor;
use tokio::time::{Instant, Sleep};

use crate::{
    Error, Shared,
    frames::{Frames, failure},
    response,
};

/// A heartbeat: a comment line in a stream of server-sent events. Clients ignore comments.
const HEARTBEAT: &[u8] = b":\n\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Server-sent events.
    Events,
    /// Newline-delimited JSON: one JSON value per line.
    Lines,
}

impl Format {
    /// Returns newline-delimited JSON if `Accept` lists `application/x-ndjson`, and server-sent events otherwise.
    pub fn asked_by(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT).iter().any(|accept| {
            let accept = accept.to_str().unwrap_or_default();
            let mut types = accept
                .split(',')
                .map(|one| one.split(';').next().unwrap_or_default().trim());
            types.any(|one| one.eq_ignore_ascii_case("application/x-ndjson"))
        });
        if lines { Self::Lines } else { Self::Events }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            // Some clients read text without a charset as Latin-1.
            Self::Events => "text/event-stream; charset=utf-8",
            Self::Lines => "application/x-ndjson",
        })
    }
}

/// Renders the response of a streaming method. `rule` is the index of the matching rule.
pub(crate) async fn begin(
    shared: Arc<Shared>,
    rule: usize,
    format: Format,
    answer: Response<tonic::body::Body>,
) -> Response<Body> {
    let (parts, body) = answer.into_parts();
    if let Some(status) = failure(&parts.headers) {
        return shared.fail(&status);
    }
    let mut frames = Frames::new(body, parts.headers.contains_key("grpc-status"));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = response::status_of(&parts.headers);
    if response.status() == StatusCode::NO_CONTENT {
        return response;
    }
    // Poll once without waiting: if the call has already failed, the failure becomes an HTTP error.
    let now = poll_fn(|cx| Poll::Ready(frames.poll_next(cx))).await;
    let first = match now {
        Poll::Ready(Some(Err(status))) => return shared.fail(&status),
        Poll::Ready(Some(Ok(message))) => Some(message),
        Poll::Ready(None) | Poll::Pending => None,
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, format.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Tells nginx not to buffer the stream, which would delay events.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    let heartbeat = shared.options.heartbeat;
    *response.body_mut() = Body::new(StreamBody {
        first,
        frames,
        format,
        rule,
        sent: Instant::now(),
        timer: (format == Format::Events).then(|| Box::pin(tokio::time::sleep(heartbeat))),
        heartbeat,
        ended: false,
        shared,
    });
    response
}

struct StreamBody {
    shared: Arc<Shared>,
    rule: usize,
    first: Option<Bytes>,
    frames: Frames,
    format: Format,
    heartbeat: Duration,
    /// Time at which data was last sent.
    sent: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl StreamBody {
    /// Returns the text of `first` and of all messages that have already been received.
    fn write(&mut self, first: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(first.len() * 2 + 128);
        let mut result = self.write_one(first, &mut out);
        while result.is_ok()
            && let Some(next) = self.frames.arrived()
        {
            result = match next {
                Ok(message) => self.write_one(&message, &mut out),
                Err(status) => Err(self.shared.faults.status(&status).into_body()),
            };
        }
        if let Err(fault) = result {
            self.write_fault(&fault, &mut out);
        }
        out.into()
    }

    /// Appends the text of one message. On error, `out` is unchanged, and the rendered error is returned.
    fn write_one(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Bytes> {
        let before = out.len();
        self.try_write_one(message, out).map_err(|error| {
            out.truncate(before);
            self.shared.faults.error(error).into_body()
        })
    }

    fn try_write_one(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let codec = &self.shared.codec;
        let rule = &self.shared.router.rules()[self.rule];
        let method = &rule.method;
        let before = out.len();
        if self.format == Format::Events {
            if let Some(number) = method.event_id
                && let Some(id) = codec.read_text((method.output, number), method.dialect, message)?
            {
                write_field("id", &id, out);
            }
            match codec.set_member(method.output, message)? {
                Some(name) => write_field("event", name, out),
                // If no member of the oneof is set, the message is a heartbeat of the service.
                None if has_kinds(&method.descriptor.output()) => {
                    out.truncate(before);
                    out.extend_from_slice(HEARTBEAT);
                    return Ok(());
                }
                None => {}
            }
            out.extend_from_slice(b"data: ");
        }
        response::encode(codec, rule, message, out)?;
        out.extend_from_slice(match self.format {
            Format::Events => b"\n\n",
            Format::Lines => b"\n",
        });
        Ok(())
    }

    fn write_fault(&mut self, body: &[u8], out: &mut Vec<u8>) {
        let (before, after): (&[u8], &[u8]) = match self.format {
            Format::Events => (b"event: fault\ndata: ", b"\n\n"),
            Format::Lines => (b"{\"fault\":", b"}\n"),
        };
        out.extend_from_slice(before);
        out.extend_from_slice(body);
        out.extend_from_slice(after);
        self.ended = true;
    }

    /// Returns a heartbeat if no data was sent for one heartbeat interval.
    fn poll_heartbeat(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let Some(timer) = &mut self.timer else {
            return Poll::Pending;
        };
        while timer.as_mut().poll(cx).is_ready() {
            // Sending data does not reset the timer, so check whether a heartbeat is due.
            let due = self.sent + self.heartbeat;
            if due <= Instant::now() {
                self.sent = Instant::now();
                timer.as_mut().reset(self.sent + self.heartbeat);
                return Poll::Ready(Bytes::from_static(HEARTBEAT));
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

/// Returns true if the message has a oneof, whose members are the kinds of events.
fn has_kinds(message: &MessageDescriptor) -> bool {
    message.oneofs().any(|oneof| !oneof.is_synthetic())
}

fn write_field(name: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    // Remove line breaks, which would end the field, and NUL, because clients ignore an id with NUL.
    out.extend(value.bytes().filter(|byte| !b"\r\n\0".contains(byte)));
    out.push(b'\n');
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = match self.first.take() {
            Some(message) => Poll::Ready(Some(Ok(message))),
            None => self.frames.poll_next(cx),
        };
        let data = match next {
            Poll::Ready(Some(Ok(message))) => self.write(&message),
            Poll::Ready(Some(Err(status))) => {
                let mut out = Vec::new();
                let fault = self.shared.faults.status(&status);
                self.write_fault(fault.body(), &mut out);
                out.into()
            }
            Poll::Ready(None) => {
                self.ended = true;
                return Poll::Ready(None);
            }
            Poll::Pending => {
                return self.poll_heartbeat(cx).map(|comment| Some(Ok(Frame::data(comment))));
            }
        };
        self.sent = Instant::now();
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        // The HTTP server can use this number of buffered bytes to limit memory.
        let held = self.first.as_ref().map_or(0, Bytes::len) + self.frames.held();
        hint.set_lower(held as u64);
        hint
    }
}
