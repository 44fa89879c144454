//! Starts runs.
//!
//! Only `wire::runs` calls this module. A `StartRun` request passes through stages. Each stage is a type in its own
//! file, with one method that returns the next stage:
//!
//! | stage | state | method |
//! |---|---|---|
//! | [`NewRun`] | the request was received | `prepare` |
//! | `Prepared` | the request is valid; its files are loaded | `lock` |
//! | `Locked` | the account is locked; the key is new | `resolve` |
//! | `Resolved` | the thread, the project and the agent are known | `admit` |
//! | `Admitted` | the plan allows the run | `write` |
//! | `Written` | all rows are written | `commit` |
//! | [`Started`] | the run exists | |
//!
//! One transaction spans `lock` to `commit`. The transaction checks that the thread belongs to the account and that the
//! plan allows one more run. It also inserts the run's row and first event. A worker can claim the run only after the
//! commit. Files are moved into the workspace before the response; if the process crashes before the files are moved, a
//! worker moves them.

mod account;
mod admitted;
mod key;
mod locked;
mod new_run;
mod prepared;
mod resolved;
mod room;
mod started;
mod target;
mod written;

use std::ops::ControlFlow;

use crate::{accounts::Caller, app::App, error::Result};

pub use new_run::{IfBusy, MAX_KEY, MAX_PROMPT_BYTES, Mode, NewRun};
pub use started::{Started, Timing};

/// Starts a run.
///
/// # Errors
/// INVALID_REQUEST with the wording fixed by the API documentation; the not-found errors; `REQUEST_KEY_REUSED`;
/// `THREAD_BUSY`; the errors of the plan's limits; `TOO_LARGE` if the files do not fit into the workspace.
pub async fn start(app: &App, caller: &Caller, new: NewRun) -> Result<Started> {
    let prepared = new.prepare(app, caller).await?;
    let locked = match prepared.lock().await? {
        ControlFlow::Continue(locked) => locked,
        ControlFlow::Break(earlier) => return Ok(earlier),
    };
    let resolved = locked.resolve().await?;
    let admitted = resolved.admit().await?;
    let written = admitted.write().await?;
    written.commit().await
}
