//! The background loops of the process.
//!
//! | loop | work |
//! |---|---|
//! | `worker` | executes runs |
//! | `sweeper` | removes unused data |
//! | `webhooks::dispatch` | sends the deliveries of webhooks |
//! | `schedules::work` | starts the runs of schedules |
//! | `telemetry::add_up_samples` | aggregates metric samples, so that metrics use little memory |
//! | `advance_tasks` | starts subagents, and passes on their results |
//! | `mcp::ahead::list_queued` | lists the tools of the MCP servers of saved agents |
//! | `enforce_suspensions` | reads which accounts are suspended, and stops their runs |
//! | `expire_inputs` | decides about inputs without an answer in time |
//! | `events::relay` | on PostgreSQL, fetches events that other processes write |
//! | `installation::keep` | on PostgreSQL, reports that the data folder is in use |
//!
//! The worker, the sweeper, the webhooks and the schedules start their work only when this process is not on standby (see `installation`).

pub mod sweeper;
mod worker;

use std::{collections::HashSet, time::Duration};

use tokio::{
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tracing::warn;
use uuid::Uuid;

use crate::{
    accounts::suspension,
    app::App,
    error::Result,
    events, installation, mcp,
    runs::{self, inputs, tasks},
    schedules, telemetry, webhooks,
};

/// Maximum wait for the worker at shutdown. If the database does not respond, the worker may never stop.
const WORKER_END: Duration = Duration::from_secs(5);

/// Interval at which expired inputs are looked for.
const EXPIRE_EVERY: Duration = Duration::from_secs(2);

/// Interval at which suspended accounts are read on PostgreSQL, where other processes suspend accounts.
const SUSPENSIONS_SHARED: Duration = Duration::from_secs(2);
/// The same interval on SQLite, where only this process suspends accounts.
const SUSPENSIONS_PRIVATE: Duration = Duration::from_mins(1);

/// Interval at which subagents are looked for on PostgreSQL, where other processes start and end runs.
const TASKS_SHARED: Duration = Duration::from_secs(1);
/// The same interval on SQLite, where this process signals each change.
const TASKS_PRIVATE: Duration = Duration::from_secs(10);

/// The running loops. Dropping the value ends all loops except the worker and the webhooks.
pub struct Background {
    worker: JoinHandle<Result<()>>,
    webhooks: JoinHandle<()>,
    others: JoinSet<()>,
}

impl Background {
    pub fn start(app: &App) -> Self {
        let mut others = JoinSet::new();
        others.spawn(sweep(app.clone()));
        others.spawn(expire_inputs(app.clone()));
        others.spawn(advance_tasks(app.clone()));
        others.spawn(schedule(app.clone()));
        others.spawn(enforce_suspensions(app.clone()));
        others.spawn(telemetry::add_up_samples());
        others.spawn(mcp::ahead::list_queued(app.clone()));
        if !app.db.is_private() {
            others.spawn(events::relay::relay(app.clone()));
            others.spawn(installation::keep(app.clone(), app.stopping.clone()));
        }
        Self {
            worker: tokio::spawn(work(app.clone())),
            webhooks: tokio::spawn(dispatch(app.clone())),
            others,
        }
    }

    /// Waits up to `WORKER_END` until the worker has handed over its runs and the webhooks have stopped, then ends the other loops. Call this only
    /// after cancelling `stopping` of the app.
    ///
    /// # Errors
    /// The error with which the worker ended.
    pub async fn stop(self) -> Result<()> {
        let (worker, webhooks) = tokio::join!(timeout(WORKER_END, self.worker), timeout(WORKER_END, self.webhooks));
        if !matches!(webhooks, Ok(Ok(()))) {
            warn!("the webhooks did not stop; their deliveries continue after the lease has expired");
        }
        match worker {
            Ok(Ok(outcome)) => outcome?,
            Ok(Err(fault)) => warn!(error = %fault, "the worker failed"),
            Err(_) => warn!("the worker did not stop before the shutdown deadline"),
        }
        drop(self.others);
        Ok(())
    }
}

async fn work(app: App) -> Result<()> {
    tokio::select! {
        () = app.stopping.cancelled() => return Ok(()),
        () = app.installation.member() => {}
    }
    worker::work(app).await
}

async fn expire_inputs(app: App) {
    app.installation.member().await;
    loop {
        if let Err(fault) = inputs::expire::expire(&app).await {
            warn!(error = %fault, "could not decide about expired inputs; the server will retry");
        }
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = sleep(EXPIRE_EVERY) => {}
        }
    }
}

async fn advance_tasks(app: App) {
    app.installation.member().await;
    loop {
        if let Err(fault) = tasks::advance(&app).await {
            warn!(error = %fault, "could not look for subagents; the server will retry");
        }
        let elsewhere = if app.db.is_private() {
            TASKS_PRIVATE
        } else {
            TASKS_SHARED
        };
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = app.wake.tasks() => {}
            () = sleep(elsewhere) => {}
        }
    }
}

/// Stops the runs of an account once after each suspension. `SuspendAccount` stops them too, but only once, and not the
/// runs of other processes that begin to wait at the same time.
async fn enforce_suspensions(app: App) {
    app.installation.member().await;
    let every = if app.db.is_private() {
        SUSPENSIONS_PRIVATE
    } else {
        SUSPENSIONS_SHARED
    };
    let mut stopped = HashSet::new();
    loop {
        if let Err(fault) = stop_suspended(&app, &mut stopped).await {
            warn!(error = %fault, "could not stop the runs of suspended accounts; the server will retry");
        }
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = sleep(every) => {}
        }
    }
}

async fn stop_suspended(app: &App, stopped: &mut HashSet<Uuid>) -> Result<()> {
    suspension::refresh(app).await?;
    let suspended = app.accounts.suspensions.all();
    stopped.retain(|account_id| suspended.contains(account_id));
    for account_id in suspended.iter() {
        if !stopped.contains(account_id) {
            runs::stop::stop_all(app, *account_id, suspension::ACTOR).await?;
            stopped.insert(*account_id);
        }
    }
    Ok(())
}

async fn dispatch(app: App) {
    tokio::select! {
        () = app.stopping.cancelled() => return,
        () = app.installation.member() => {}
    }
    webhooks::dispatch(app).await;
}

async fn schedule(app: App) {
    app.installation.member().await;
    schedules::work(app).await;
}

async fn sweep(app: App) {
    app.installation.member().await;
    sweeper::sweep(app).await;
}
