//! The writer lane of SQLite: one writer, and one commit for all who wait.
//!
//! Every durable commit is an fsync, so commits are shared: a unit of work is a savepoint in the open batch, and a batch
//! is whatever queued while the previous commit ran; there is no timer. One unit runs at a time. A failed unit rolls back
//! alone, a failed commit fails all of its batch.

use std::{fs::File, sync::Arc};

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::error::{Code, Error, Result};

/// Units that may wait for the lane; more wait for room.
const QUEUE: usize = 4096;
/// Units in one batch at most, so that the first does not wait for long.
const BATCH: usize = 1024;

type Unit = (DatabaseTransaction, Seat);
type Outcome = std::result::Result<(), Arc<str>>;

/// The way into the lane.
#[derive(Clone)]
pub(super) struct Lane {
    asks: mpsc::Sender<oneshot::Sender<Result<Unit>>>,
}

/// A unit's place in its batch. Dropped without [`Seat::committed`] it tells the lane that the unit rolled back.
pub(super) struct Seat {
    done: Option<oneshot::Sender<oneshot::Sender<Outcome>>>,
}

impl Seat {
    /// Gives the lane free and waits until the batch is durable.
    pub(super) async fn committed(mut self) -> Outcome {
        let (durable, outcome) = oneshot::channel();
        if let Some(done) = self.done.take() {
            drop(done.send(durable));
        }
        outcome.await.unwrap_or_else(|_| Err("the writer has gone".into()))
    }
}

impl Lane {
    /// Starts the lane on the one writing connection; it ends, and gives the folder's lock free, when its last handle goes.
    pub(super) fn start(writer: DatabaseConnection, lock: File) -> Self {
        let (asks, queue) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            drive(writer, queue).await;
            drop(lock);
        });
        Self { asks }
    }

    /// Waits for the lane and begins a unit.
    pub(super) async fn unit(&self) -> Result<Unit> {
        let gone = || Error::new(Code::Unavailable, "the database is shutting down");
        let (ask, answer) = oneshot::channel();
        self.asks.send(ask).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

async fn drive(writer: DatabaseConnection, mut queue: mpsc::Receiver<oneshot::Sender<Result<Unit>>>) {
    while let Some(first) = queue.recv().await {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let batch = match writer.begin_with_options(options).await {
            Ok(batch) => batch,
            Err(fault) => {
                drop(first.send(Err(Error::from(fault))));
                continue;
            }
        };
        let waiting = fill(&batch, first, &mut queue).await;
        let outcome: Outcome = batch.commit().await.map_err(|fault: DbErr| {
            error!(error = %fault, units = waiting.len(), "a batch could not be committed");
            fault.to_string().into()
        });
        for durable in waiting {
            drop(durable.send(outcome.clone()));
        }
    }
}

/// Runs units one after another until nobody waits; returns those that wait for the commit.
async fn fill(
    batch: &DatabaseTransaction,
    first: oneshot::Sender<Result<Unit>>,
    queue: &mut mpsc::Receiver<oneshot::Sender<Result<Unit>>>,
) -> Vec<oneshot::Sender<Outcome>> {
    let mut waiting = Vec::new();
    let mut next = Some(first);
    while let Some(ask) = next.take() {
        match batch.begin().await {
            Ok(unit) => {
                let (done, ended) = oneshot::channel();
                // A caller that has gone drops the unit, which rolls it back, and the seat, which ends the wait here.
                drop(ask.send(Ok((unit, Seat { done: Some(done) }))));
                if let Ok(durable) = ended.await {
                    waiting.push(durable);
                }
            }
            Err(fault) => drop(ask.send(Err(Error::from(fault)))),
        }
        if waiting.len() < BATCH {
            next = queue.try_recv().ok();
        }
    }
    waiting
}
