//! The journal: the one writer of everything that running runs say and do.
//!
//! Each claimed run has a [`RunLog`]; what the engine says gathers there. One task takes what all logs have gathered and
//! writes it in one unit: events, messages, usage, the end. A batch is whatever gathered while the previous one was
//! written; there is no timer. It first compares the epochs of the leases: what a stale run gathered is dropped and its
//! worker told. Only after the commit are events handed to followers.

mod log;
mod rows;
mod write;

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{clock::Clock, db::Db};
pub use log::{Ending, Entry, RunLog, Spent};

/// Logs that may wait for the journal; each waits at most once.
const QUEUE: usize = 16_384;
/// Logs that are written in one unit at most.
const BATCH: usize = 512;

/// The way into the journal; cheap to clone.
#[derive(Clone)]
pub struct Journal {
    dirty: mpsc::Sender<Arc<RunLog>>,
}

impl Journal {
    /// Starts the journal's task; it ends when its last handle and log have gone.
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
