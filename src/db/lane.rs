//! The writer of SQLite: one thread that executes all units of work, with group commit.
//!
//! Every durable commit costs an fsync, so units of work share commits. A batch consists of the units that queued
//! while the previous commit ran; there is no timer. Units run one after another. If a unit fails, the batch is
//! committed without that unit's changes. If a commit fails, every unit of its batch fails.
//!
//! A unit is either a closure that the thread runs ([`Lane::run`]), or a loan: a caller borrows the connection
//! ([`Lane::lend`]). A closure costs two thread hops and a loan costs four, so frequent units are closures.
//!
//! A batch begins without savepoints, because SQLite copies every page that changes after a savepoint. If a unit
//! fails after a write, the whole batch is rolled back. Its units then run again, each with a savepoint. Closures
//! must therefore be safe to repeat. A loan cannot run again. From the first loan of a batch on, all units get
//! savepoints.

mod unit;

use std::{fs::File, sync::Arc, thread, time::Instant};

use sea_orm::DbErr;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};
use tracing::error;

use unit::{Ended, Savepoint};
pub(super) use unit::{Unit, Writer};

use super::tx::measure_commit;
use crate::{
    error::{Code, Error, Result},
    telemetry::names,
};

/// Maximum number of queued units; further units wait for space in the queue.
const QUEUE: usize = 4096;
/// Maximum number of units per batch. A larger batch would delay the first unit's commit.
const BATCH: usize = 1024;

/// Outcome of the commit of a batch.
pub(super) type Outcome = std::result::Result<(), Arc<str>>;

/// A closure that the writer's thread runs.
pub(super) trait Job: Send {
    /// Runs the closure on the connection in `unit`, and keeps the result. Returns `unit` (`None` if the connection
    /// was lost), and whether the closure succeeded. May be called again after a rollback.
    fn run(&mut self, unit: Unit, runtime: &Handle) -> (Option<Unit>, bool);

    /// Sends the result of the last run to the caller, or the error of the commit.
    fn finish(self: Box<Self>, outcome: &Outcome);
}

/// A borrowed connection, or the reason why no transaction can begin.
type Lent = std::result::Result<Unit, DbErr>;

enum Request {
    Run(Box<dyn Job>),
    Lend(oneshot::Sender<Lent>),
}

/// A handle to the writer's thread.
#[derive(Clone)]
pub(super) struct Lane {
    requests: mpsc::Sender<Request>,
}

impl Lane {
    /// When the last [`Lane`] is dropped, the writer's thread ends and releases the lock of the data folder.
    pub(super) fn start(writer: Writer, lock: File) -> Result<Self> {
        let (requests, queue) = mpsc::channel(QUEUE);
        let runtime = Handle::current();
        let thread = thread::Builder::new().name("sqlite-writer".to_owned());
        let started = thread.spawn(move || {
            drive(writer, queue, &runtime);
            drop(lock);
        });
        started.map_err(|fault| {
            Error::new(
                Code::Unavailable,
                "the thread that writes to the database cannot be started",
            )
            .caused_by(fault)
        })?;
        Ok(Self { requests })
    }

    /// Queues a unit of work. Fails with UNAVAILABLE if the thread has stopped.
    pub(super) async fn run(&self, job: Box<dyn Job>) -> Result<()> {
        self.requests.send(Request::Run(job)).await.map_err(|_| stopped())
    }

    /// Waits until no other unit runs, then borrows the connection. Fails with UNAVAILABLE if the thread has stopped.
    pub(super) async fn lend(&self) -> Result<Lent> {
        let (borrower, lent) = oneshot::channel();
        self.requests
            .send(Request::Lend(borrower))
            .await
            .map_err(|_| stopped())?;
        lent.await.map_err(|_| stopped())
    }
}

/// Creates the error for a unit that can no longer run.
pub(super) fn stopped() -> Error {
    Error::new(Code::Unavailable, "the database is shutting down")
}

fn drive(mut writer: Writer, mut queue: mpsc::Receiver<Request>, runtime: &Handle) {
    while let Some(first) = queue.blocking_recv() {
        let mut batch = Batch::new(runtime);
        let mut next = Some(first);
        while let Some(request) = next.take() {
            let back = match request {
                Request::Run(job) => batch.run(writer, job),
                Request::Lend(borrower) => batch.lend(writer, borrower),
            };
            let Some(back) = back else {
                error!("the write connection was lost");
                return;
            };
            writer = back;
            // A broken batch cannot be committed, so the next unit starts a new batch.
            if batch.len() < BATCH && !batch.is_broken {
                next = queue.try_recv().ok();
            }
        }
        if !batch.end(&writer) {
            error!("the write connection cannot be used any further");
            return;
        }
    }
}

/// The units that share the next commit.
struct Batch<'a> {
    runtime: &'a Handle,
    savepoint: Savepoint,
    ran: Vec<Box<dyn Job>>,
    lent: Vec<oneshot::Sender<Outcome>>,
    /// True if changes of earlier units were lost. The commit must then fail.
    is_broken: bool,
}

impl<'a> Batch<'a> {
    fn new(runtime: &'a Handle) -> Self {
        Self {
            runtime,
            savepoint: Savepoint::Skip,
            ran: Vec::new(),
            lent: Vec::new(),
            is_broken: false,
        }
    }

    fn len(&self) -> usize {
        self.ran.len() + self.lent.len()
    }

    /// Returns `None` if the connection was lost.
    fn run(&mut self, writer: Writer, job: Box<dyn Job>) -> Option<Writer> {
        let (mut writer, failed) = self.attempt(writer, job)?;
        let Some(failed) = failed else { return Some(writer) };
        // The rollback also undoes the earlier units, so all units of the batch run again.
        if !self.runtime.block_on(writer.roll_back()) {
            return None;
        }
        self.savepoint = Savepoint::Set;
        let earlier = std::mem::take(&mut self.ran);
        for job in earlier.into_iter().chain([failed]) {
            (writer, _) = self.attempt(writer, job)?;
        }
        Some(writer)
    }

    /// Runs a unit once. Returns its job if the unit must run again, because it failed after a write without a
    /// savepoint. Returns `None` if the connection was lost.
    fn attempt(&mut self, writer: Writer, mut job: Box<dyn Job>) -> Option<(Writer, Option<Box<dyn Job>>)> {
        let (unit, succeeded) = job.run(Unit::new(writer, self.savepoint), self.runtime);
        let Ended {
            writer, has_written, ..
        } = unit?.take(None)?;
        let is_intact = self.runtime.block_on(async {
            if has_written {
                writer.end_unit(self.savepoint, succeeded).await
            } else {
                writer.is_intact().await
            }
        });
        if !is_intact && self.savepoint == Savepoint::Skip {
            return Some((writer, Some(job)));
        }
        self.is_broken |= !is_intact;
        if succeeded {
            self.ran.push(job);
        } else {
            job.finish(&Ok(()));
        }
        Some((writer, None))
    }

    /// Lends the connection and waits for its return. Returns `None` if the connection was lost.
    fn lend(&mut self, writer: Writer, borrower: oneshot::Sender<Lent>) -> Option<Writer> {
        if let Err(fault) = self.runtime.block_on(writer.begin_unit(Savepoint::Set)) {
            drop(borrower.send(Err(fault)));
            return Some(writer);
        }
        self.savepoint = Savepoint::Set;
        let (unit, ended) = Unit::lent(writer);
        // If the caller has been cancelled, `send` fails and drops the unit, which returns the connection.
        drop(borrower.send(Ok(unit)));
        let Ended { writer, durable, .. } = ended.blocking_recv().ok()?;
        let is_intact = self
            .runtime
            .block_on(writer.end_unit(Savepoint::Set, durable.is_some()));
        self.is_broken |= !is_intact;
        self.lent.extend(durable);
        Some(writer)
    }

    /// Commits the batch and reports the outcome to its units. Returns false if the connection is no longer usable.
    fn end(self, writer: &Writer) -> bool {
        let outcome: Outcome = if self.is_broken {
            Err("the transaction of the batch was rolled back".into())
        } else {
            let began = Instant::now();
            let committed = self.runtime.block_on(writer.commit());
            measure_commit(began.elapsed(), committed.is_ok());
            metrics::histogram!(names::BATCH_UNITS).record(u32::try_from(self.len()).unwrap_or(u32::MAX));
            committed.map_err(|fault| fault.to_string().into())
        };
        let is_usable = outcome.is_ok() || self.runtime.block_on(writer.roll_back());
        if let Err(fault) = &outcome {
            error!(error = %fault, units = self.len(), "a batch could not be committed");
        }
        for job in self.ran {
            job.finish(&outcome);
        }
        for durable in self.lent {
            drop(durable.send(outcome.clone()));
        }
        is_usable
    }
}
