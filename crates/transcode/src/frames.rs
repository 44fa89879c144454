//! gRPC framing: writes one request message, and reads the messages of a response. A response that ends without a
//! gRPC status is an error, as the gRPC protocol requires.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Response};
use http_body::Body as _;
use tonic::{Status, body::Body};

/// Size of a frame's header in bytes: one byte of flags and four bytes of length.
pub const HEADER_BYTES: usize = 5;

/// Starts a frame with space for the header. The caller appends the message and calls [`finish`].
pub fn begin() -> Vec<u8> {
    let mut wire = Vec::with_capacity(256);
    wire.resize(HEADER_BYTES, 0);
    wire
}

/// Writes the header of a frame after its message was appended; `None` if the message has 4 GiB or more.
pub fn finish(mut wire: Vec<u8>) -> Option<Bytes> {
    let length = u32::try_from(wire.len().checked_sub(HEADER_BYTES)?).ok()?;
    wire[1..HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
    Some(wire.into())
}

/// Returns the error Status in response headers or trailers; `None` if they contain no error.
pub fn failure(headers: &HeaderMap) -> Option<Status> {
    match headers.get("grpc-status") {
        Some(status) if status != "0" => Status::from_header_map(headers),
        _ => None,
    }
}

/// Returns the trailers of a successful call. Fails with the error Status, or if the trailers have no gRPC status.
pub fn succeeded(trailers: HeaderMap) -> Result<HeaderMap, Status> {
    if !trailers.contains_key("grpc-status") {
        return Err(no_status());
    }
    failure(&trailers).map_or(Ok(trailers), Err)
}

pub fn no_status() -> Status {
    Status::internal("the service ended the response without a gRPC status")
}

#[derive(Debug)]
pub struct Single {
    pub metadata: HeaderMap,
    pub message: Bytes,
    pub trailers: HeaderMap,
}

/// Reads the response of a unary method.
///
/// # Errors
/// The Status of a failed call; INTERNAL if the response does not have exactly one message.
pub async fn single(answer: Response<Body>) -> Result<Single, Status> {
    let (parts, body) = answer.into_parts();
    if let Some(status) = failure(&parts.headers) {
        return Err(status);
    }
    let mut frames = Frames::new(body, parts.headers.contains_key("grpc-status"));
    let first = frames.next().await.transpose()?;
    let message = first.ok_or_else(|| Status::internal("the service sent no response"))?;
    // Only the status after the message shows whether the call succeeded.
    match frames.next().await.transpose()? {
        None => Ok(Single {
            metadata: parts.headers,
            message,
            trailers: frames.take_trailers(),
        }),
        Some(_) => Err(Status::internal("the service sent more than one response")),
    }
}

#[derive(Debug)]
pub struct Frames {
    body: Body,
    /// Bytes that were received but not yet returned.
    arrived: Bytes,
    /// True after the status or an error: no more data will be read.
    ended: bool,
    trailers: HeaderMap,
}

impl Frames {
    /// Creates a reader for a response whose headers contain no error. If `said_ok` is true, the headers already
    /// contain the gRPC status OK, and the body is not read.
    pub fn new(body: Body, said_ok: bool) -> Self {
        Self {
            body,
            arrived: Bytes::new(),
            ended: said_ok,
            trailers: HeaderMap::new(),
        }
    }

    /// Returns the trailers of a successful response. Must be called after the last message.
    pub fn take_trailers(&mut self) -> HeaderMap {
        std::mem::take(&mut self.trailers)
    }

    pub fn held(&self) -> usize {
        self.arrived.len()
    }

    /// Returns the next message, or the error Status of a failed call; `None` at the end of a successful call.
    pub async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Returns the next message without waiting; `None` if it is incomplete.
    pub fn arrived(&mut self) -> Option<Result<Bytes, Status>> {
        let header = self.arrived.get(..HEADER_BYTES)?;
        if header[0] != 0 {
            self.end();
            return Some(Err(Status::internal(
                "the service sent a compressed response, which is not supported",
            )));
        }
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        if self.arrived.len() - HEADER_BYTES < length {
            return None;
        }
        self.arrived.advance(HEADER_BYTES);
        Some(Ok(self.arrived.split_to(length)))
    }

    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Status>>> {
        loop {
            if let Some(message) = self.arrived() {
                return Poll::Ready(Some(message));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.append(data),
                    Err(frame) => {
                        self.end();
                        return Poll::Ready(match succeeded(frame.into_trailers().unwrap_or_default()) {
                            Ok(trailers) => {
                                self.trailers = trailers;
                                None
                            }
                            Err(status) => Some(Err(status)),
                        });
                    }
                },
                Some(Err(status)) => {
                    self.end();
                    return Poll::Ready(Some(Err(status)));
                }
                None => {
                    self.end();
                    return Poll::Ready(Some(Err(no_status())));
                }
            }
        }
    }

    fn append(&mut self, data: Bytes) {
        if self.arrived.is_empty() {
            self.arrived = data;
            return;
        }
        // Join the incomplete message and the new bytes. This copy is rare, because tonic usually writes a whole
        // message as one body frame.
        let mut joined = BytesMut::with_capacity(self.arrived.len() + data.len());
        joined.extend_from_slice(&self.arrived);
        joined.extend_from_slice(&data);
        self.arrived = joined.freeze();
    }

    fn end(&mut self) {
        self.ended = true;
        self.arrived = Bytes::new();
        // Dropping the body ends the service's stream.
        self.body = Body::empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::convert::Infallible;

    use futures::{FutureExt, stream};
    use http::{HeaderName, HeaderValue};
    use http_body::Frame;
    use http_body_util::StreamBody;
    use tonic::Code;

    fn read(trailers: &[(&'static str, &'static str)]) -> Result<Single, Status> {
        let trailers = trailers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let frames = [
            Frame::data(Bytes::from_static(&[0; HEADER_BYTES])),
            Frame::trailers(trailers),
        ];
        let body = StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)));
        single(Response::new(Body::new(body)))
            .now_or_never()
            .unwrap_or_else(|| Err(Status::cancelled("waits")))
    }

    #[test]
    fn only_a_status_in_the_trailers_makes_a_response_successful() {
        assert_eq!(
            read(&[("grpc-status", "0")]).map(|single| single.message).ok(),
            Some(Bytes::new())
        );
        assert_eq!(
            read(&[("grpc-status", "5")]).err().map(|status| status.code()),
            Some(Code::NotFound)
        );
        assert_eq!(
            read(&[("x-other", "0")]).err().map(|status| status.code()),
            Some(Code::Internal)
        );
    }
}
