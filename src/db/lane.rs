//! The writer lane of SQLite: one writer, and one commit for all who wait.
//!
//! Every durable commit is an fsync, so commits are shared: a unit of work is a savepoint in the open batch, and a batch
//! is whatever queued while the previous commit ran; there is no timer. One unit runs at a time. A failed unit rolls back
//! alone, a failed commit fails all of its batch.
//!
//! A statement is a change of threads, which costs more than most statements do. So the lane holds its connection, and a
//! unit's savepoint travels with its first write: the first unit that writes begins the batch, and each next one releases
//! the savepoint before and sets its own. Two names take turns, so that a unit cannot go back over its neighbour. A unit
//! may read before: nobody else writes, so what it sees is what it would see inside.

use std::{
    fs::File,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use super::held::{self, Held};
use crate::error::{Code, Error, Result};

/// Units that may wait for the lane; more wait for room.
const QUEUE: usize = 4096;
/// Units in one batch at most, so that the first does not wait for long.
const BATCH: usize = 1024;

type Ask = oneshot::Sender<Result<Unit>>;
type Outcome = std::result::Result<(), Arc<str>>;

/// The way into the lane.
#[derive(Clone)]
pub(super) struct Lane {
    asks: mpsc::Sender<Ask>,
}

impl Lane {
    /// Starts the lane on the one writing connection; it ends, and gives the folder's lock free, when its last handle goes.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn start(pool: DatabaseConnection, lock: File) -> Result<Self> {
        let connection = held::hold(&pool).await?;
        let writer = Writer {
            connection,
            open: Open::Nothing,
        };
        let (asks, queue) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            drive(writer, queue).await;
            drop((pool, lock));
        });
        Ok(Self { asks })
    }

    /// Waits for the lane and begins a unit.
    pub(super) async fn unit(&self) -> Result<Unit> {
        let gone = || Error::new(Code::Unavailable, "the database is shutting down");
        let (ask, answer) = oneshot::channel();
        self.asks.send(ask).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// What is open on the writing connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    /// No transaction: a batch begins with its first write.
    Nothing,
    /// A transaction, and the savepoint `a` in it.
    A,
    /// A transaction, and the savepoint `b` in it.
    B,
}

impl Open {
    fn next(self) -> Self {
        match self {
            Self::Nothing | Self::B => Self::A,
            Self::A => Self::B,
        }
    }

    /// Opens the next one.
    fn turn(self) -> &'static str {
        match self {
            Self::Nothing => "BEGIN IMMEDIATE;SAVEPOINT a;",
            Self::A => "RELEASE a;SAVEPOINT b;",
            Self::B => "RELEASE b;SAVEPOINT a;",
        }
    }

    fn back(self) -> &'static str {
        match self {
            Self::Nothing => "ROLLBACK",
            Self::A => "ROLLBACK TO a",
            Self::B => "ROLLBACK TO b",
        }
    }
}

/// The one connection that writes.
struct Writer {
    connection: Held,
    open: Open,
}

impl Writer {
    async fn commit(&mut self) -> Result<(), DbErr> {
        if self.open == Open::Nothing {
            return Ok(());
        }
        self.open = Open::Nothing;
        let outcome = self.execute("COMMIT").await;
        if outcome.is_err() {
            // Some failures have ended the transaction already.
            drop(self.execute("ROLLBACK").await);
        }
        outcome
    }

    /// Undoes what a unit has written. A unit that was cancelled may not have come as far as its savepoint; then there is
    /// nothing to undo but the turn to make. When that fails too, the transaction itself has gone.
    async fn undo(&mut self) -> Result<(), DbErr> {
        let turn = self.open.turn();
        self.open = self.open.next();
        if self.execute(self.open.back()).await.is_err() {
            self.execute(turn).await?;
        }
        Ok(())
    }

    async fn execute(&self, sql: &'static str) -> Result<(), DbErr> {
        let statement = Statement::from_string(DbBackend::Sqlite, sql);
        self.connection.execute_raw(statement).await.map(drop)
    }
}

/// How a unit gives the lane back.
struct Ended {
    writer: Writer,
    has_written: bool,
    /// Who waits for the commit; nobody, when the unit shall leave no trace.
    durable: Option<oneshot::Sender<Outcome>>,
}

/// A unit of work, which has the lane to itself. Dropped without [`Unit::commit`] it leaves no trace.
pub(super) struct Unit {
    held: Option<(Writer, oneshot::Sender<Ended>)>,
    has_written: AtomicBool,
}

impl Unit {
    /// Gives the lane free and waits until the batch is durable.
    pub(super) async fn commit(mut self) -> Outcome {
        let (durable, outcome) = oneshot::channel();
        self.end(Some(durable));
        outcome.await.unwrap_or_else(|_| Err("the writer has gone".into()))
    }

    fn end(&mut self, durable: Option<oneshot::Sender<Outcome>>) {
        if let Some((writer, back)) = self.held.take() {
            let ended = Ended {
                writer,
                has_written: *self.has_written.get_mut(),
                durable,
            };
            drop(back.send(ended));
        }
    }

    fn writer(&self) -> Result<&Writer, DbErr> {
        let held = self.held.as_ref().map(|(writer, _)| writer);
        held.ok_or_else(|| DbErr::Custom("the unit of work has ended".to_owned()))
    }

    /// What must go before a write: the turn of the savepoints, once.
    fn turn(&self) -> Result<&'static str, DbErr> {
        let writer = self.writer()?;
        if self.has_written.swap(true, Ordering::Relaxed) {
            return Ok("");
        }
        Ok(writer.open.turn())
    }

    async fn turn_alone(&self) -> Result<(), DbErr> {
        match self.turn()? {
            "" => Ok(()),
            turn => self.writer()?.execute(turn).await,
        }
    }

    /// Executes any statements in one change of threads; how many rows they changed is not known.
    pub(super) async fn execute_together(&self, mut statement: Statement) -> Result<(), DbErr> {
        statement.sql.insert_str(0, self.turn()?);
        self.writer()?.connection.execute_raw(statement).await.map(drop)
    }

    pub(super) async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        // On its own, because the count of changed rows would include the neighbour's.
        self.turn_alone().await?;
        self.writer()?.connection.execute_raw(statement).await
    }

    pub(super) async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.turn_alone().await?;
        self.writer()?.connection.execute_unprepared(sql).await
    }

    pub(super) async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        if !reads(&statement) {
            self.turn_alone().await?;
        }
        self.writer()?.connection.query_one_raw(statement).await
    }

    pub(super) async fn query_all_raw(&self, mut statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        if !reads(&statement) {
            statement.sql.insert_str(0, self.turn()?);
        }
        self.writer()?.connection.query_all_raw(statement).await
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        self.end(None);
    }
}

fn reads(statement: &Statement) -> bool {
    statement.sql.starts_with("SELECT ")
}

async fn drive(mut writer: Writer, mut queue: mpsc::Receiver<Ask>) {
    while let Some(first) = queue.recv().await {
        let Some((back, waiting)) = fill(writer, first, &mut queue).await else {
            error!("the writing connection was lost");
            return;
        };
        writer = back;
        let outcome: Outcome = writer.commit().await.map_err(|fault: DbErr| {
            error!(error = %fault, units = waiting.len(), "a batch could not be committed");
            fault.to_string().into()
        });
        for durable in waiting {
            drop(durable.send(outcome.clone()));
        }
    }
}

/// Runs units one after another until nobody waits; returns the writer and those that wait for the commit.
async fn fill(
    mut writer: Writer,
    first: Ask,
    queue: &mut mpsc::Receiver<Ask>,
) -> Option<(Writer, Vec<oneshot::Sender<Outcome>>)> {
    let mut waiting = Vec::new();
    let mut next = Some(first);
    while let Some(ask) = next.take() {
        let (back, ended) = oneshot::channel();
        let unit = Unit {
            held: Some((writer, back)),
            has_written: AtomicBool::new(false),
        };
        // A caller that has gone drops the unit, which ends the wait here.
        drop(ask.send(Ok(unit)));
        let ended = ended.await.ok()?;
        writer = ended.writer;
        match ended.durable {
            Some(durable) => {
                if ended.has_written {
                    writer.open = writer.open.next();
                }
                waiting.push(durable);
            }
            None if ended.has_written => {
                if let Err(fault) = writer.undo().await {
                    // The savepoints are gone, so the batch is: its commit fails, and tells everybody.
                    error!(error = %fault, "a unit of work could not be undone");
                    drop(writer.execute("ROLLBACK").await);
                    break;
                }
            }
            None => {}
        }
        if waiting.len() < BATCH {
            next = queue.try_recv().ok();
        }
    }
    Some((writer, waiting))
}
