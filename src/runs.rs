//! Runs. `StartRun` commits the run before it responds. A worker claims the run under a lease, executes it and writes
//! its output through `runs/journal.rs`. Each write checks that the epoch of the lease is still current.
//!
//! An unfinished run counts towards the plan's limit on concurrent runs. Each check counts the rows; no separate
//! counter is stored.

pub mod budget;
pub mod claim;
pub mod finish;
pub mod inputs;
pub mod journal;
pub mod list;
pub mod options;
pub mod remove;
pub mod report;
pub mod reserve;
pub mod resume;
pub mod retention;
pub mod saved;
pub mod say;
pub mod start;
pub mod stop;
mod table;
pub mod tasks;
pub mod title;
pub mod wake;
pub mod worker_slots;

pub use journal::{Journal, RunLog};
pub use start::{IfBusy, NewRun, Parent, Started, start};
pub use table::{Model as Run, Status, StopReason};
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
