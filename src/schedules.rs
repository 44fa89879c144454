//! Schedules: a schedule starts a run at each time that its cron expression names in its time zone.
//!
//! Invariants: an occurrence has one row, which a unique index ensures, and starts one run, because its start has an
//! idempotency key. The row is committed together with the time of the next occurrence; the run is started after the
//! commit. After a crash between the two, another attempt starts the run.

mod change;
mod create;
mod cron;
mod due;
pub mod history;
mod list;
mod start;
mod table;

pub use change::{Changes, delete, pause, resume, update};
pub use create::{NewSchedule, create};
pub use cron::Timetable;
pub use due::work;
pub use history::purge;
pub use list::{list, load};
pub use start::run_now;
pub use table::{occurrence::Model as Occurrence, occurrence::Outcome, schedule::Model as Schedule, schedule::Overlap};
