//! The journal writes the output of all runs that this process executes.
//!
//! Each claimed run has a [`RunLog`], which collects the engine's output. One task writes the pending output of all
//! logs in one transaction: events, messages, usage and the ends of runs. First, the task compares the epoch of each
//! log with the epoch in the run's row. If the lease of a run was lost, the task drops the run's output and notifies
//! its worker. Events are published only after the commit.
//!
//! Most output consists of further chunks of a message. A commit for every token would be expensive, so chunks are
//! written once per [`PAUSE`]. All other output is urgent: it is written immediately, together with all pending
//! output.

mod end;
mod log;
mod rows;
mod write;

use std::{iter, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, timeout_at},
};

use crate::{clock::Clock, db::Db};
pub use end::{Finished, RunEnd};
pub use log::{Entry, RunLog, Spent};

/// Maximum number of queued logs. A log is queued only once, however much output it has.
const QUEUE: usize = 16_384;
/// Maximum number of logs per transaction.
const BATCH: usize = 512;
/// Minimum time between the starts of two batches without urgent output.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Clone)]
pub struct Journal {
    dirty: mpsc::Sender<Arc<RunLog>>,
    urgent: Arc<Notify>,
}

impl Journal {
    /// Starts the task that writes the output. The task ends when the last handle and the last log have been dropped.
    pub fn start(db: Db, clock: Clock) -> Self {
        let (dirty, mut queue) = mpsc::channel(QUEUE);
        let urgent = Arc::<Notify>::default();
        let hurried = Arc::clone(&urgent);
        tokio::spawn(async move {
            let mut logs = Vec::with_capacity(BATCH);
            let mut earliest = Instant::now();
            while queue.recv_many(&mut logs, BATCH).await > 0 {
                // The pause ends early if output becomes urgent.
                drop(timeout_at(earliest, gather(&mut queue, &mut logs, &hurried)).await);
                add_queued(&mut queue, &mut logs);
                earliest = Instant::now() + PAUSE;
                write::write(&db, &clock, &logs).await;
                logs.clear();
            }
        });
        Self { dirty, urgent }
    }

    pub(super) fn dirty(&self) -> &mpsc::Sender<Arc<RunLog>> {
        &self.dirty
    }

    /// Ends the pause before the next batch.
    pub(super) fn hurry(&self) {
        self.urgent.notify_one();
    }
}

/// Adds queued logs to the batch until a log of the batch has urgent output.
async fn gather(queue: &mut mpsc::Receiver<Arc<RunLog>>, logs: &mut Vec<Arc<RunLog>>, hurried: &Notify) {
    while !logs.iter().any(|log| log.is_urgent()) {
        hurried.notified().await;
        add_queued(queue, logs);
    }
}

/// Moves queued logs to the batch, up to its maximum size.
fn add_queued(queue: &mut mpsc::Receiver<Arc<RunLog>>, logs: &mut Vec<Arc<RunLog>>) {
    let queued = iter::from_fn(|| queue.try_recv().ok());
    logs.extend(queued.take(BATCH.saturating_sub(logs.len())));
}
