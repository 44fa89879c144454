//! Starts runs. A `StartRun` request passes through stages. Each stage is a type in its own file, with one method
//! that returns the next stage:
//!
//! | stage | state | method |
//! |---|---|---|
//! | [`NewRun`] | the request was received | `prepare` |
//! | `Prepared` | the request is valid; its files are loaded | `lock` |
//! | `Locked` | the account is locked; the idempotency key is new | `resolve` |
//! | `Resolved` | the thread, the project and the agent are known | `admit` |
//! | `Admitted` | the plan allows the run | `write` |
//! | `Written` | all rows are written | `finish` |
//! | [`Started`] | the run exists | |
//!
//! One transaction spans `lock` to `write` and is committed before `finish`. A worker can claim the run only after
//! the commit. `finish` moves the files into the workspace before the response. If the process crashes before that, a
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

use std::{ops::ControlFlow, sync::Arc};

use futures::FutureExt;

use super::Run;
use crate::{
    accounts::{Caller, queue},
    app::App,
    db::Tx,
    error::Result,
};
use prepared::Prepared;
use written::Written;

pub use key::{KEY_LIVES, stored as stored_key};
pub use new_run::{IfBusy, MAX_KEY, MAX_PROMPT_BYTES, NewRun, Parent};
pub use started::{Started, Timing};

/// Starts a run.
///
/// # Errors
/// INVALID_REQUEST with the wording fixed by the API documentation; the not-found errors; `REQUEST_KEY_REUSED`;
/// `THREAD_BUSY`; the errors of the plan's limits; `TOO_LARGE` if the files do not fit into the workspace.
pub async fn start(app: &App, caller: &Caller, new: NewRun) -> Result<Started> {
    let prepared = Arc::new(new.prepare(app, caller).await?);
    let work = Arc::clone(&prepared);
    let written = queue::write(app, caller.account_id, "runs.start", move |tx| {
        let prepared = Arc::clone(&work);
        async move { write(&prepared, tx).await }.boxed()
    });
    match written.await? {
        ControlFlow::Continue(written) => Ok(written.finish(&prepared).await),
        ControlFlow::Break(earlier) => prepared.repeated(earlier).await,
    }
}

/// Runs the stages inside the transaction. Returns the earlier run if an earlier request had the same key.
async fn write(prepared: &Prepared, tx: &Tx) -> Result<ControlFlow<Run, Written>> {
    let locked = match prepared.lock(tx).await? {
        ControlFlow::Continue(locked) => locked,
        ControlFlow::Break(earlier) => return Ok(ControlFlow::Break(earlier)),
    };
    let admitted = locked.resolve().await?.admit().await?;
    admitted.write().await.map(ControlFlow::Continue)
}
