//! Runs: started durably, claimed under a lease, journaled, finished exactly once.
//!
//! The slot of a run is its unfinished row; there is no counter to drift. Everything that a running run writes goes
//! through `runs/journal.rs`, under the epoch of its lease.

pub mod claim;
pub mod finish;
pub mod journal;
pub mod list;
pub mod remove;
pub mod report;
pub mod reserve;
pub mod seats;
pub mod start;
pub mod stop;
pub mod table;
pub mod wake;

pub use journal::{Journal, RunLog};
pub use seats::Seats;
pub use start::{IfBusy, NewRun, Started, start};
pub use table::{Model as Run, Status};
pub use wake::Wake;
