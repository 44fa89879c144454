//! Closes an HTTP/1 connection without losing the last response.
//!
//! If a server closes a socket with unread bytes, the kernel resets the connection, and the client may lose the
//! response. The server therefore first closes only its sending side, and then discards the client's remaining bytes.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use super::{forward::forward_writes, protocol_detection::ProtocolDetection};
use crate::wire::link::Link;

/// Maximum total time to read and discard the client's bytes.
const MAX_TIME: Duration = Duration::from_secs(30);
/// Maximum time to wait for the next byte of the client.
const MAX_SILENCE: Duration = Duration::from_secs(5);
/// Maximum number of bytes to discard: the default of `http.max_form_bytes`.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;
const BUFFER_BYTES: usize = 16 * 1024;

/// A stream whose shutdown waits until the client has closed its sending side or a limit is reached.
pub struct Lingering<S> {
    stream: ProtocolDetection<S>,
    link: Arc<Link>,
    /// True if the client has closed its sending side.
    ended: bool,
    closing: Option<Closing>,
}

struct Closing {
    is_shut: bool,
    begun: Instant,
    discarded: u64,
    timer: Pin<Box<Sleep>>,
}

impl<S> Lingering<S> {
    pub fn new(stream: ProtocolDetection<S>, link: Arc<Link>) -> Self {
        Self {
            stream,
            link,
            ended: false,
            closing: None,
        }
    }
}

impl<S: AsyncRead + Unpin> Lingering<S> {
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(closing) = &mut self.closing else {
            return Poll::Ready(());
        };
        let mut bytes = [0; BUFFER_BYTES];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    closing.discarded += buffer.filled().len() as u64;
                    let left = MAX_TIME.saturating_sub(closing.begun.elapsed());
                    if closing.discarded > MAX_BYTES || left.is_zero() {
                        return Poll::Ready(());
                    }
                    closing.timer.as_mut().reset(Instant::now() + left.min(MAX_SILENCE));
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return closing.timer.as_mut().poll(cx),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let room = buffer.remaining();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.link.record_input();
        } else if room > 0 {
            self.ended = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    forward_writes!(stream);

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.closing.is_none() {
            // An HTTP/2 connection closes immediately. The server has already sent the reason in a frame, and the
            // client may be flooding the server.
            let lingers = !this.ended && !this.stream.speaks_http2() && this.link.may_be_sending();
            this.closing = lingers.then(|| Closing {
                is_shut: false,
                begun: Instant::now(),
                discarded: 0,
                timer: Box::pin(sleep(MAX_SILENCE)),
            });
        }
        let is_shut = this.closing.as_ref().is_some_and(|closing| closing.is_shut);
        if !is_shut {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if let Some(closing) = &mut this.closing {
                closing.is_shut = true;
            }
        }
        this.poll_discard(cx).map(Ok)
    }
}
