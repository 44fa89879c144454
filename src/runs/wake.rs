//! Tells the worker of this process that a run waits to be claimed, should stop, or has a new message. A lost signal only causes a
//! delay: the worker polls for work, and reads stop requests when it renews its leases.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use dashmap::DashMap;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

#[derive(Clone)]
pub struct Wake {
    work: Arc<Notify>,
    tasks: Arc<Notify>,
    waits: Arc<AtomicBool>,
    working: Arc<DashMap<Uuid, Signals>>,
}

/// Signals to the worker of one run.
#[derive(Clone, Default)]
pub struct Signals {
    /// Cancelled when a caller requests a stop.
    pub stop: CancellationToken,
    /// True if a caller has added a message that the worker has not looked for.
    pub has_message: Arc<AtomicBool>,
}

impl Default for Wake {
    // Runs of an earlier process may wait to be claimed, so `waits` is true until the worker has queried the
    // database.
    fn default() -> Self {
        Self {
            work: Arc::default(),
            tasks: Arc::default(),
            waits: Arc::new(AtomicBool::new(true)),
            working: Arc::default(),
        }
    }
}

impl Wake {
    pub fn run_queued(&self) {
        self.waits.store(true, Ordering::SeqCst);
        self.work.notify_one();
    }

    /// Signals that a run has ended, so that the next run of its thread may be claimed.
    pub fn run_ended(&self) {
        if self.has_waiting() {
            self.work.notify_one();
        }
    }

    /// True if a run may be waiting to be claimed.
    pub fn has_waiting(&self) -> bool {
        self.waits.load(Ordering::SeqCst)
    }

    /// Stores whether runs wait to be claimed, according to the worker's latest query. If a run was queued after that
    /// query, the next [`Wake::work`] returns immediately, and the worker queries again.
    pub fn note_waiting(&self, waits: bool) {
        self.waits.store(waits, Ordering::SeqCst);
    }

    /// True if this process is executing no runs.
    pub fn is_idle(&self) -> bool {
        self.working.is_empty()
    }

    /// Waits for a signal of [`Wake::run_queued`] or [`Wake::run_ended`]. Returns immediately if a signal has arrived
    /// since the last wait.
    pub async fn work(&self) {
        self.work.notified().await;
    }

    /// Cancels the stop token of a run if this process is executing the run.
    pub fn stop(&self, run_id: Uuid) {
        if let Some(signals) = self.working.get(&run_id) {
            signals.stop.cancel();
        }
    }

    /// Stops runs of subagents: cancels the stop tokens of those that this process is executing, and wakes the worker, which
    /// ends those that wait.
    pub fn stop_all(&self, run_ids: &[Uuid]) {
        for run_id in run_ids {
            self.stop(*run_id);
        }
        if !run_ids.is_empty() {
            self.run_queued();
        }
    }

    /// Signals that a run waits for a subagent, or that a subagent's run has ended.
    pub fn task_changed(&self) {
        self.tasks.notify_one();
    }

    /// Waits for a signal of [`Wake::task_changed`].
    pub async fn tasks(&self) {
        self.tasks.notified().await;
    }

    /// Signals that a message was added to a run.
    pub fn message_added(&self, run_id: Uuid) {
        if let Some(signals) = self.working.get(&run_id) {
            signals.has_message.store(true, Ordering::SeqCst);
        }
    }

    pub fn is_working(&self, run_id: Uuid) -> bool {
        self.working.contains_key(&run_id)
    }

    /// Registers that this process is executing a run, until the returned guard is dropped.
    pub fn working(&self, run_id: Uuid, signals: Signals) -> Working {
        self.working.insert(run_id, signals);
        Working {
            run_id,
            working: Arc::clone(&self.working),
        }
    }
}

pub struct Working {
    run_id: Uuid,
    working: Arc<DashMap<Uuid, Signals>>,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.working.remove(&self.run_id);
    }
}
