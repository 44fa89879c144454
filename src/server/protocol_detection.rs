//! Times out connections that do not start a protocol.
//!
//! hyper distinguishes HTTP/1 from HTTP/2 by the first bytes, and its own timeouts start only after these bytes.
//! Without the timeout of this module, a client that sends nothing could keep a connection open forever.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::forward::forward_writes;

/// The first bytes of an HTTP/2 connection (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream that fails if the client does not start a protocol in time.
pub struct ProtocolDetection<S> {
    stream: S,
    /// Number of bytes of the HTTP/2 preface that the client has sent so far.
    seen: usize,
    /// `None` once the protocol is known.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> ProtocolDetection<S> {
    pub fn new(stream: S, timeout: Duration) -> Self {
        Self {
            stream,
            seen: 0,
            deadline: Some(Box::pin(sleep(timeout))),
        }
    }

    pub fn speaks_http2(&self) -> bool {
        self.seen == PREFACE.len()
    }

    fn look_at(&mut self, bytes: &[u8]) {
        let rest = &PREFACE[self.seen..];
        let alike = bytes
            .iter()
            .zip(rest)
            .take_while(|(byte, expected)| byte == expected)
            .count();
        self.seen += alike;
        if alike < bytes.len() || self.seen == PREFACE.len() {
            self.deadline = None;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ProtocolDetection<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if self.deadline.is_some() {
            self.look_at(&buffer.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ProtocolDetection<S> {
    forward_writes!(stream);

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
