//! A response that is being sent to the connection in chunks.

use std::{
    error::Error as StdError,
    fmt,
    pin::Pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize},
    },
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::{Buf, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use tower::BoxError;

use crate::wire::owner::Owner;

/// Maximum size of a chunk in bytes. Chunks that the connection has already buffered stay in memory after an abort,
/// so chunks are small.
pub(super) const PIECE: usize = 16 * 1024;

pub(super) struct PendingResponse {
    pub(super) owner: Owner,
    /// Number of bytes of the response in memory.
    pub(super) bytes: AtomicUsize,
    /// Time at which the connection most recently accepted data, in milliseconds since the ledger was created.
    pub(super) taken_at: AtomicU64,
    content: Mutex<Content>,
}

/// The unsent part of a response.
pub(super) struct Content {
    body: Option<Body>,
    /// The unsent rest of a frame that was too large for one chunk.
    rest: Bytes,
    /// Size in bytes of the frame to which `rest` belongs.
    frame: usize,
    cut: bool,
}

impl PendingResponse {
    /// `now` is the time in milliseconds since the ledger was created.
    pub(super) fn new(owner: Owner, body: Body, now: u64) -> Self {
        Self {
            owner,
            bytes: AtomicUsize::new(0),
            taken_at: AtomicU64::new(now),
            content: Mutex::new(Content {
                body: Some(body),
                rest: Bytes::new(),
                frame: 0,
                cut: false,
            }),
        }
    }

    pub(super) fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Aborts the response: drops the unsent bytes, and sends an error to the client.
    pub(super) fn cut(&self) {
        let (body, rest) = {
            let mut content = self.content();
            content.cut = true;
            (content.body.take(), std::mem::take(&mut content.rest))
        };
        // The body is dropped after the lock is released, because dropping the body stops the service.
        drop((body, rest));
    }
}

impl Content {
    /// Returns the number of bytes in memory: the rest of the current frame, and an estimate of the bytes that the
    /// body buffers. The estimate is the size that the body reports or, if larger, the size of the last frame.
    pub(super) fn held(&self) -> usize {
        let body = self.body.as_ref().map_or(0, |body| {
            let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
            announced.max(self.frame)
        });
        body.saturating_add(self.rest.len())
    }

    /// Returns the next chunk; `None` at the end of the response.
    pub(super) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if self.cut {
                self.cut = false;
                return Poll::Ready(Some(Err(TooSlow.into())));
            }
            if !self.rest.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(self.piece()))));
            }
            let Some(body) = &mut self.body else {
                return Poll::Ready(None);
            };
            let Poll::Ready(frame) = Pin::new(body).poll_frame(context) else {
                // The connection polls again only after it has accepted the previous frame.
                self.frame = 0;
                return Poll::Pending;
            };
            match frame {
                None => {
                    self.body = None;
                    return Poll::Ready(None);
                }
                Some(Err(fault)) => return Poll::Ready(Some(Err(fault.into()))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        self.frame = data.len();
                        self.rest = data;
                        if self.body.as_ref().is_some_and(http_body::Body::is_end_stream) {
                            self.body = None;
                        }
                        if self.rest.is_empty() {
                            return Poll::Ready(Some(Ok(Frame::data(Bytes::new()))));
                        }
                    }
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
            }
        }
    }

    pub(super) fn is_end(&self) -> bool {
        !self.cut && self.rest.is_empty() && self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let Some(body) = &self.body else {
            return SizeHint::with_exact(rest);
        };
        let inner = body.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(inner.lower() + rest);
        hint
    }

    fn piece(&mut self) -> Bytes {
        if self.frame <= PIECE {
            return std::mem::take(&mut self.rest);
        }
        // The chunk is copied, because a slice would keep the whole frame in memory.
        let piece = Bytes::copy_from_slice(&self.rest[..self.rest.len().min(PIECE)]);
        self.rest.advance(piece.len());
        if self.rest.is_empty() {
            self.rest = Bytes::new();
        }
        piece
    }
}

#[derive(Debug)]
struct TooSlow;

impl fmt::Display for TooSlow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the client did not read the response in time")
    }
}

impl StdError for TooSlow {}
