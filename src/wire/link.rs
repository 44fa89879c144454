//! The state of an accepted connection, shared by the server and the layers.
//!
//! The extensions of every request contain the [`Link`] of its connection. The layers record events in the link. The
//! server uses the link to decide which connection to close.

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

#[derive(Debug)]
pub struct Link {
    address: Option<IpAddr>,
    opened: Instant,
    /// Number of requests whose responses are not complete.
    open_requests: AtomicU32,
    /// Time of the most recent completed response, in milliseconds after `opened`.
    idle_since: AtomicU64,
    recognized: AtomicBool,
    /// True if bytes have arrived since the last call of [`Link::begin`] or [`Visit::answered`].
    unanswered: AtomicBool,
    /// True if the body of a request will not be read to its end.
    cut: AtomicBool,
    end: CancellationToken,
}

impl Link {
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

    /// Returns the client's address, if it is known. IPv4-mapped IPv6 addresses are converted to IPv4.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Counts a request as open until the returned guard is dropped.
    pub fn begin(self: &Arc<Self>) -> Visit {
        self.open_requests.fetch_add(1, Relaxed);
        self.unanswered.store(false, Relaxed);
        Visit { link: Arc::clone(self) }
    }

    pub fn recognize(&self) {
        self.recognized.store(true, Relaxed);
    }

    pub fn is_recognized(&self) -> bool {
        self.recognized.load(Relaxed)
    }

    /// Returns the end of the most recent response or, before the first request, the time at which the connection was
    /// accepted. Returns `None` while a request is open.
    pub fn idle_since(&self) -> Option<Instant> {
        if self.open_requests.load(Relaxed) > 0 {
            return None;
        }
        Some(self.opened + Duration::from_millis(self.idle_since.load(Relaxed)))
    }

    pub fn opened(&self) -> Instant {
        self.opened
    }

    pub fn record_input(&self) {
        self.unanswered.store(true, Relaxed);
    }

    pub fn cut(&self) {
        self.cut.store(true, Relaxed);
    }

    /// Returns true if the client may still be sending. Closing the connection immediately could then lose the
    /// response.
    pub fn may_be_sending(&self) -> bool {
        self.cut.load(Relaxed) || self.unanswered.load(Relaxed)
    }

    /// Makes the server close the connection immediately.
    pub fn end(&self) {
        self.end.cancel();
    }

    pub fn is_ending(&self) -> bool {
        self.end.is_cancelled()
    }

    pub fn ended(&self) -> WaitForCancellationFuture<'_> {
        self.end.cancelled()
    }
}

#[derive(Debug)]
pub struct Visit {
    link: Arc<Link>,
}

impl Visit {
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
