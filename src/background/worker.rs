//! The worker claims runs and executes them.
//!
//! Each process has one worker. The worker renews the leases of all its runs in one transaction. If a renewal fails
//! because another worker owns the run, this worker stops executing the run and writes nothing more for it.

mod documents;
mod drive;
mod images;
mod job;
mod sink;
mod tools;

use std::{
    collections::HashMap,
    iter,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::{
    app::App,
    error::Result,
    id,
    runs::{
        claim::{self, Claimed},
        wake::Signals,
        worker_slots::ClaimedInSlot,
    },
};

/// Poll interval on PostgreSQL. Other processes that use the database do not wake this worker (`runs::Wake`).
const POLL_SHARED: Duration = Duration::from_secs(1);
/// Poll interval on SQLite. Only this process queues and ends runs, and it wakes the worker each time. Polls
/// therefore rarely find work.
const POLL_PRIVATE: Duration = Duration::from_secs(5);
const CLAIM_AT_ONCE: usize = 64;
/// Maximum time to hand over all runs at shutdown. A run that takes longer resumes only after its lease has expired.
const HAND_OVER: Duration = Duration::from_secs(2);

/// The runs that a worker executes, each with its cancellation tokens.
#[derive(Clone, Default)]
pub(crate) struct Held {
    runs: Arc<Mutex<HashMap<Uuid, Tokens>>>,
}

#[derive(Clone, Default)]
pub(crate) struct Tokens {
    /// Signals of callers.
    pub(crate) signals: Signals,
    /// Cancelled when this worker gives up the run: another worker owns the run, the journal cannot be written, or
    /// this process shuts down. This worker then writes nothing more for the run.
    pub(crate) lost: CancellationToken,
}

impl Held {
    fn with<T>(&self, look: impl FnOnce(&mut HashMap<Uuid, Tokens>) -> T) -> T {
        look(&mut self.runs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Claims and executes runs until the app is stopping, then hands over the unfinished runs.
pub async fn work(app: App) -> Result<()> {
    let shutdown = app.stopping.clone();
    let worker_id = id::new();
    if app.db.is_private() {
        claim::release_all(&app).await?;
    }
    let poll = if app.db.is_private() { POLL_PRIVATE } else { POLL_SHARED };
    let (held, tasks) = (Held::default(), TaskTracker::new());
    let ended = CancellationToken::new();
    let renewing = tokio::spawn(renew(app.clone(), worker_id, held.clone(), ended.clone()));
    let lease = Duration::from_secs(app.config.worker.lease_seconds);
    let slots = Arc::new(Semaphore::new(app.config.worker.max_runs));
    let arrivals = app
        .worker_slots
        .open(worker_id, lease, &slots, app.config.worker.max_runs);
    let executor = Executor {
        app: app.clone(),
        worker_id,
        held: held.clone(),
        tasks: tasks.clone(),
    };
    let seating = tokio::spawn(seat(executor.clone(), arrivals));
    while !shutdown.is_cancelled() {
        // Acquire the slots before the claim, because a `StartRun` call may acquire a slot during the claim.
        let free: Vec<OwnedSemaphorePermit> = iter::from_fn(|| Arc::clone(&slots).try_acquire_owned().ok())
            .take(CLAIM_AT_ONCE)
            .collect();
        let is_full = free.is_empty();
        let claimed = if is_full {
            Vec::new()
        } else {
            claim::claim(&app, worker_id, free.len(), lease)
                .await
                .unwrap_or_else(|fault| {
                    warn!(error = %fault, "could not claim runs");
                    Vec::new()
                })
        };
        let more = !is_full && claimed.len() == free.len();
        for (claimed, slot) in claimed.into_iter().zip(free) {
            executor.begin(claimed, slot);
        }
        // While all slots are in use, the answer would change nothing. The end of a run wakes this loop again.
        let is_known = more || (is_full && app.wake.has_waiting());
        let waits = is_known || claim::has_waiting(&app).await.unwrap_or(true);
        app.wake.note_waiting(waits);
        if !more {
            tokio::select! {
                () = shutdown.cancelled() => {}
                _ = timeout(poll, app.wake.work()) => {}
            }
        }
    }
    // A `StartRun` call may still hold a worker slot. The task `seating` ends only after each such call has sent its
    // run or released its slot. The hand-over below therefore includes these runs.
    app.worker_slots.close();
    if let Err(fault) = seating.await {
        error!(error = %fault, "the task that receives new runs has failed");
    }
    hand_over(&held, &tasks).await;
    ended.cancel();
    renewing
        .await
        .unwrap_or_else(|fault| error!(error = %fault, "the task that renews leases failed"));
    Ok(())
}

#[derive(Clone)]
struct Executor {
    app: App,
    worker_id: Uuid,
    held: Held,
    tasks: TaskTracker,
}

impl Executor {
    fn begin(&self, claimed: Claimed, slot: OwnedSemaphorePermit) {
        let tokens = Tokens::default();
        let run_id = claimed.run.id;
        self.held.with(|runs| runs.insert(run_id, tokens.clone()));
        let (app, held, worker_id) = (self.app.clone(), self.held.clone(), self.worker_id);
        self.tasks.spawn(async move {
            drive::drive(&app, worker_id, claimed, tokens).await;
            held.with(|runs| runs.remove(&run_id));
            drop(slot);
            app.wake.run_ended();
        });
    }
}

async fn seat(executor: Executor, mut arrivals: mpsc::Receiver<ClaimedInSlot>) {
    while let Some((claimed, slot)) = arrivals.recv().await {
        executor.begin(claimed, slot);
    }
}

// Waits up to [`HAND_OVER`]. The task of each run (`worker/drive.rs`) notices the shutdown and hands over its run.
async fn hand_over(held: &Held, tasks: &TaskTracker) {
    tasks.close();
    let runs = held.with(|runs| runs.len());
    if runs > 0 {
        info!(runs, "handing over the running runs");
    }
    if timeout(HAND_OVER, tasks.wait()).await.is_err() {
        let runs = held.with(|runs| runs.len());
        warn!(runs, "could not hand over some runs in time; their leases will expire");
    }
}

async fn renew(app: App, worker_id: Uuid, held: Held, ended: CancellationToken) {
    let lease = Duration::from_secs(app.config.worker.lease_seconds);
    let mut ticks = interval(lease / 3);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = ended.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let before: Vec<Uuid> = held.with(|runs| runs.keys().copied().collect());
        if before.is_empty() {
            continue;
        }
        match claim::renew(&app, worker_id, &before, lease).await {
            Ok(renewed) => held.with(|runs| {
                for run_id in before {
                    let Some(tokens) = runs.get(&run_id) else { continue };
                    match renewed.iter().find(|run| run.run_id == run_id) {
                        Some(run) if run.stop_requested => tokens.signals.stop.cancel(),
                        Some(_) => {}
                        // Another worker owns the run, or the run has just finished. For a finished run, cancelling
                        // has no effect.
                        None => tokens.lost.cancel(),
                    }
                }
            }),
            Err(fault) => warn!(error = %fault, "could not renew leases"),
        }
    }
}
