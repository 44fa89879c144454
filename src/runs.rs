//! Runs: started durably, claimed under a lease, journaled, finished exactly once.
//!
//! A run's unfinished row is its slot, so no separate counter can drift. Everything that a worker writes about a run
//! goes through `runs/journal.rs`, under the epoch of its lease.

pub mod claim;
pub mod finish;
pub mod journal;
pub mod list;
pub mod remove;
pub mod report;
pub mod reserve;
pub mod start;
pub mod stop;
pub mod table;
pub mod wake;
pub mod worker_slots;

pub use journal::{Journal, RunLog};
pub use start::{IfBusy, NewRun, Started, start};
pub use table::{Model as Run, Status};
pub use wake::Wake;
pub use worker_slots::WorkerSlots;
