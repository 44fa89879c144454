//! The frames of gRPC: one message as a request body, and the messages of an answer.
//!
//! Used by the transcoder around the in-process call. An answer that ends without a status is a failure, as in any client.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body as _;
use tonic::{Status, body::Body};

/// The bytes before a message: a flag for compression and its length.
pub const HEADER_BYTES: usize = 5;

/// Room for the header of a message that will be written behind it.
pub fn begin() -> Vec<u8> {
    let mut wire = Vec::with_capacity(256);
    wire.resize(HEADER_BYTES, 0);
    wire
}

/// Fills in the header in front of a message that is complete; nothing when it is longer than a frame can say.
pub fn finish(mut wire: Vec<u8>) -> Option<Bytes> {
    let length = u32::try_from(wire.len().checked_sub(HEADER_BYTES)?).ok()?;
    wire[1..HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
    Some(wire.into())
}

/// The failure that headers or trailers tell of, if they do.
pub fn failure(headers: &HeaderMap) -> Option<Status> {
    match headers.get("grpc-status") {
        Some(status) if status != "0" => Status::from_header_map(headers),
        _ => None,
    }
}

/// The messages of an answer.
#[derive(Debug)]
pub struct Frames {
    body: Body,
    /// What has arrived and was not given out yet.
    arrived: Bytes,
    /// Whether OK has been said, or the end of the messages reported.
    ended: bool,
}

impl Frames {
    /// Reads the body of an answer whose headers were not a failure; `said_ok` when they had the status already.
    pub fn new(body: Body, said_ok: bool) -> Self {
        Self {
            body,
            arrived: Bytes::new(),
            ended: said_ok,
        }
    }

    /// Size of what has arrived and was not given out yet, in bytes.
    pub fn held(&self) -> usize {
        self.arrived.len()
    }

    /// The next message; nothing after the last one, when the status is OK.
    pub async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next message, if one has arrived completely. Never waits.
    pub fn arrived(&mut self) -> Option<Result<Bytes, Status>> {
        let header = self.arrived.get(..HEADER_BYTES)?;
        if header[0] != 0 {
            self.end();
            return Some(Err(Status::internal(
                "the service compressed an answer that must not be",
            )));
        }
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        if self.arrived.len() - HEADER_BYTES < length {
            return None;
        }
        self.arrived.advance(HEADER_BYTES);
        Some(Ok(self.arrived.split_to(length)))
    }

    /// Like [`Frames::next`], for bodies.
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
                        let failed = frame.trailers_ref().and_then(failure);
                        self.end();
                        return Poll::Ready(failed.map(Err));
                    }
                },
                Some(Err(status)) => {
                    self.end();
                    return Poll::Ready(Some(Err(status)));
                }
                None => {
                    self.end();
                    return Poll::Ready(Some(Err(Status::internal("the service ended without a status"))));
                }
            }
        }
    }

    fn append(&mut self, data: Bytes) {
        if self.arrived.is_empty() {
            self.arrived = data;
            return;
        }
        // A message over several frames is rare in process: tonic writes whole messages.
        let mut joined = BytesMut::with_capacity(self.arrived.len() + data.len());
        joined.extend_from_slice(&self.arrived);
        joined.extend_from_slice(&data);
        self.arrived = joined.freeze();
    }

    fn end(&mut self) {
        self.ended = true;
        self.arrived = Bytes::new();
        // Lets go of the service's stream at once.
        self.body = Body::empty();
    }
}
