//! Runs. `StartRun` commits the run before it responds. A worker claims the run under a lease, writes the run's output
//! to the journal and finishes the run exactly once.
//!
//! A run counts towards the plan's limit on concurrent runs while it is unfinished. Each check counts the rows of
//! unfinished runs; no separate counter is stored. A worker writes the output of a run only through `runs/journal.rs`,
//! which checks before each write that the epoch of the worker's lease is still current.

pub mod budget;
pub mod claim;
pub mod finish;
pub mod journal;
pub mod list;
pub mod remove;
pub mod report;
pub mod reserve;
pub mod start;
pub mod stop;
mod table;
pub mod wake;
pub mod worker_slots;

pub use journal::{Journal, RunLog};
pub use start::{IfBusy, NewRun, Started, start};
pub use table::{Model as Run, Status};
pub use wake::Wake;
pub use worker_slots::WorkerSlots;

use crate::uploads::place::Destination;

impl From<&Run> for Destination {
    fn from(run: &Run) -> Self {
        Self {
            account_id: run.account_id,
            thread_id: run.thread_id,
            run_id: run.id,
        }
    }
}
