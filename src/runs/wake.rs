//! Hints for the worker of this process: there is work, and that run shall stop. A lost hint costs only time: the worker
//! polls for work and reads stop requests whenever it renews its leases.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use dashmap::DashMap;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The hints; cheap to clone.
#[derive(Clone)]
pub struct Wake {
    work: Arc<Notify>,
    waits: Arc<AtomicBool>,
    stops: Arc<DashMap<Uuid, CancellationToken>>,
}

impl Default for Wake {
    // Until the worker has looked, an earlier process may have left runs that wait.
    fn default() -> Self {
        Self {
            work: Arc::default(),
            waits: Arc::new(AtomicBool::new(true)),
            stops: Arc::default(),
        }
    }
}

impl Wake {
    /// A run waits to be claimed.
    pub fn run_queued(&self) {
        self.waits.store(true, Ordering::SeqCst);
        self.work.notify_one();
    }

    /// A run has ended, so one that waits may be claimable now.
    pub fn run_ended(&self) {
        if self.has_waiting() {
            self.work.notify_one();
        }
    }

    /// Whether a run may be waiting to be claimed.
    pub fn has_waiting(&self) -> bool {
        self.waits.load(Ordering::SeqCst)
    }

    /// Notes what the worker has seen. A run that was queued meanwhile has ended the next [`Wake::work`], so the worker looks
    /// again.
    pub fn note_waiting(&self, waits: bool) {
        self.waits.store(waits, Ordering::SeqCst);
    }

    /// Whether this process works on no run.
    pub fn is_idle(&self) -> bool {
        self.stops.is_empty()
    }

    /// Waits for [`Wake::run_queued`]; one call before this one counts.
    pub async fn work(&self) {
        self.work.notified().await;
    }

    /// Asks the worker of a run to stop it, when it is one of this process.
    pub fn stop(&self, run_id: Uuid) {
        if let Some(token) = self.stops.get(&run_id) {
            token.cancel();
        }
    }

    /// Whether a run is worked on in this process.
    pub fn is_working(&self, run_id: Uuid) -> bool {
        self.stops.contains_key(&run_id)
    }

    /// Notes that a run is worked on here, until the guard is dropped.
    pub fn working(&self, run_id: Uuid, stop: CancellationToken) -> Working {
        self.stops.insert(run_id, stop);
        Working {
            run_id,
            stops: Arc::clone(&self.stops),
        }
    }
}

/// A run is worked on in this process.
pub struct Working {
    run_id: Uuid,
    stops: Arc<DashMap<Uuid, CancellationToken>>,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.stops.remove(&self.run_id);
    }
}
