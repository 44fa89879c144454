//! One accepted connection, as the server and the layers share it.
//!
//! The server makes a [`Link`] for each connection and gives it to every request in its extensions. The layers report what
//! they learn (a request begins, a credential is accepted, a body is left unread). The server decides by that which
//! connection gives way when places run out, and how a connection is closed.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// A connection.
#[derive(Debug)]
pub struct Link {
    address: Option<IpAddr>,
    opened: Instant,
    /// Requests whose answer is not complete.
    open_requests: AtomicU32,
    /// When the last answer was complete, in milliseconds since `opened`.
    idle_since: AtomicU64,
    recognized: AtomicBool,
    /// Bytes have arrived that no service has seen yet.
    unanswered: AtomicBool,
    /// The body of a request is not going to be read to its end.
    cut: AtomicBool,
    end: CancellationToken,
}

impl Link {
    /// A connection that was accepted now, from this address.
    pub fn new(address: Option<IpAddr>) -> Self {
        Self {
            address: address.map(|address| address.to_canonical()),
            opened: Instant::now(),
            open_requests: AtomicU32::new(0),
            idle_since: AtomicU64::new(0),
            recognized: AtomicBool::new(false),
            unanswered: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            end: CancellationToken::new(),
        }
    }

    /// The address at the other end.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Counts a request until the guard is dropped.
    pub fn begin(self: &Arc<Self>) -> Visit {
        self.open_requests.fetch_add(1, Relaxed);
        self.unanswered.store(false, Relaxed);
        Visit { link: Arc::clone(self) }
    }

    /// Reports that a credential was accepted.
    pub fn recognize(&self) {
        self.recognized.store(true, Relaxed);
    }

    /// Whether a credential was ever accepted on this connection.
    pub fn is_recognized(&self) -> bool {
        self.recognized.load(Relaxed)
    }

    /// When the last answer was complete, or the connection was accepted; nothing while a request is open.
    pub fn idle_since(&self) -> Option<Instant> {
        if self.open_requests.load(Relaxed) > 0 {
            return None;
        }
        Some(self.opened + Duration::from_millis(self.idle_since.load(Relaxed)))
    }

    /// When it was accepted.
    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// Reports that bytes have arrived.
    pub fn hear(&self) {
        self.unanswered.store(true, Relaxed);
    }

    /// Reports that a request's body will not be read to its end.
    pub fn cut(&self) {
        self.cut.store(true, Relaxed);
    }

    /// Whether the peer may still be sending when the connection is closed, and would then lose its answer.
    pub fn may_be_sending(&self) -> bool {
        self.cut.load(Relaxed) || self.unanswered.load(Relaxed)
    }

    /// Asks the server to close the connection at once.
    pub fn end(&self) {
        self.end.cancel();
    }

    /// Whether the server was asked to close it.
    pub fn is_ending(&self) -> bool {
        self.end.is_cancelled()
    }

    /// Completes when the server is asked to close it.
    pub fn ended(&self) -> WaitForCancellationFuture<'_> {
        self.end.cancelled()
    }
}

/// An open request of a connection.
#[derive(Debug)]
pub struct Visit {
    link: Arc<Link>,
}

impl Visit {
    /// Reports that all that arrived so far has been answered.
    pub fn answered(&self) {
        self.link.unanswered.store(false, Relaxed);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let now = u64::try_from(self.link.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.link.idle_since.store(now, Relaxed);
        self.link.open_requests.fetch_sub(1, Relaxed);
    }
}
