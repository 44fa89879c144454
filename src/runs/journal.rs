//! The journal writes the output of all runs that this process executes. No other module writes this output.
//!
//! Each claimed run has a [`RunLog`], which collects the engine's output. One task collects the pending output of all
//! logs and writes it in one transaction: events, messages, usage and the ends of runs. A batch is the output that was
//! collected while the previous batch was written; there is no timer. The task first compares the epoch of each log
//! with the epoch in the run's row. If the lease of a run was lost, the task drops the output of the run and notifies
//! its worker. Events are published to followers only after the commit.

mod log;
mod rows;
mod write;

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{clock::Clock, db::Db};
pub use log::{Entry, RunEnd, RunLog, Spent};

/// Maximum number of logs in the queue of the journal. Each log is in the queue only once.
const QUEUE: usize = 16_384;
/// Maximum number of logs written in one transaction.
const BATCH: usize = 512;

/// Handle of the journal; cheap to clone.
#[derive(Clone)]
pub struct Journal {
    dirty: mpsc::Sender<Arc<RunLog>>,
}

impl Journal {
    /// Starts the journal's task. The task ends when the last handle and the last log have been dropped.
    pub fn start(db: Db, clock: Clock) -> Self {
        let (dirty, mut queue) = mpsc::channel::<Arc<RunLog>>(QUEUE);
        tokio::spawn(async move {
            let mut logs = Vec::with_capacity(BATCH);
            while queue.recv_many(&mut logs, BATCH).await > 0 {
                write::write(&db, &clock, &logs).await;
                logs.clear();
            }
        });
        Self { dirty }
    }

    pub(super) fn dirty(&self) -> &mpsc::Sender<Arc<RunLog>> {
        &self.dirty
    }
}
