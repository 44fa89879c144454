//! The writer lane of SQLite: a single writer with group commit.
//!
//! Every durable commit costs an fsync, so units of work share commits. A unit of work is a savepoint in the current
//! batch. A batch consists of the units that queued while the previous commit ran; no timer delays a commit. One unit
//! runs at a time. If a unit fails, only that unit is rolled back. If a commit fails, every unit of its batch fails.
//!
//! Each statement costs a thread hop, which takes longer than most statements. To save hops, the lane keeps its
//! connection out of the pool, and a unit sends its savepoint together with its first write. The first unit that writes
//! begins the batch. Each later unit that writes releases the previous savepoint and sets its own savepoint. Savepoints
//! alternate between two names, so that a unit can never roll back to the savepoint of the previous unit. A unit may
//! read before its first write. Such a read sees the same data as a read inside the savepoint, because no other writer
//! exists.

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

/// Maximum number of units in the queue. Further units wait until the queue has room.
const QUEUE: usize = 4096;
/// Maximum number of units in one batch. The limit bounds the time that the first unit waits for the commit.
const BATCH: usize = 1024;

type BatchRequest = oneshot::Sender<Result<Unit>>;
type Outcome = std::result::Result<(), Arc<str>>;

/// A handle to the writer lane. Cheap to clone.
#[derive(Clone)]
pub(super) struct Lane {
    requests: mpsc::Sender<BatchRequest>,
}

impl Lane {
    /// Starts the lane on the write connection. When the last handle is dropped, the lane ends and releases the lock
    /// of the data folder.
    ///
    /// # Errors
    /// An error if the write connection cannot be opened.
    pub(super) async fn start(pool: DatabaseConnection, lock: File) -> Result<Self> {
        let connection = held::hold(&pool).await?;
        let writer = Writer {
            connection,
            open: Open::Nothing,
        };
        let (requests, queue) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            drive(writer, queue).await;
            drop((pool, lock));
        });
        Ok(Self { requests })
    }

    /// Waits for the lane and begins a unit of work.
    pub(super) async fn unit(&self) -> Result<Unit> {
        let stopped = || Error::new(Code::Unavailable, "the database is shutting down");
        let (request, answer) = oneshot::channel();
        self.requests.send(request).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

/// The savepoint that is open on the write connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    /// No transaction is open; the next write begins a batch.
    Nothing,
    /// A transaction with savepoint `a` is open.
    A,
    /// A transaction with savepoint `b` is open.
    B,
}

impl Open {
    fn next(self) -> Self {
        match self {
            Self::Nothing | Self::B => Self::A,
            Self::A => Self::B,
        }
    }

    /// Returns the SQL that releases the current savepoint and sets the next savepoint.
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

/// The write connection.
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
            // Some failures end the transaction, so an error of this rollback does not matter.
            drop(self.execute("ROLLBACK").await);
        }
        outcome
    }

    /// Rolls back a cancelled or failed unit. If the unit was cancelled before it set its savepoint, the rollback
    /// fails. This function then sets the savepoint, so that the connection matches `self.open` again. If setting the
    /// savepoint also fails, the transaction no longer exists.
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

/// The message that returns the write connection from a unit to the lane.
struct Ended {
    writer: Writer,
    has_written: bool,
    /// The channel for the outcome of the commit; `None` if the unit must be rolled back.
    durable: Option<oneshot::Sender<Outcome>>,
}

/// A unit of work, which has exclusive use of the lane. It is rolled back if it is dropped without [`Unit::commit`].
pub(super) struct Unit {
    held: Option<(Writer, oneshot::Sender<Ended>)>,
    has_written: AtomicBool,
}

impl Unit {
    /// Releases the lane and waits until the batch is durable.
    pub(super) async fn commit(mut self) -> Outcome {
        let (durable, outcome) = oneshot::channel();
        self.end(Some(durable));
        outcome
            .await
            .unwrap_or_else(|_| Err("the SQLite writer has stopped".into()))
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

    /// Returns the SQL to send before a write. Before the first write of the unit, the SQL changes the savepoint.
    /// Before later writes, the SQL is empty.
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

    /// Executes several statements in one thread hop. The number of changed rows is unknown afterwards.
    pub(super) async fn execute_together(&self, mut statement: Statement) -> Result<(), DbErr> {
        statement.sql.insert_str(0, self.turn()?);
        self.writer()?.connection.execute_raw(statement).await.map(drop)
    }

    pub(super) async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        // The savepoint statements are sent separately. Otherwise, sqlx would add the row count of the previous write
        // for each of these statements.
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

async fn drive(mut writer: Writer, mut queue: mpsc::Receiver<BatchRequest>) {
    while let Some(first) = queue.recv().await {
        let Some((back, waiting)) = fill(writer, first, &mut queue).await else {
            error!("the write connection was lost");
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

/// Runs units one after another until the queue is empty or the batch is full. Returns the writer and the units that
/// wait for the commit.
async fn fill(
    mut writer: Writer,
    first: BatchRequest,
    queue: &mut mpsc::Receiver<BatchRequest>,
) -> Option<(Writer, Vec<oneshot::Sender<Outcome>>)> {
    let mut waiting = Vec::new();
    let mut next = Some(first);
    while let Some(request) = next.take() {
        let (back, ended) = oneshot::channel();
        let unit = Unit {
            held: Some((writer, back)),
            has_written: AtomicBool::new(false),
        };
        // If the caller was cancelled, `send` fails and drops the unit, so `ended` completes immediately.
        drop(request.send(Ok(unit)));
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
                    // The savepoints and the batch no longer exist, so the commit fails, and every unit of the batch
                    // receives the error of the commit.
                    error!(error = %fault, "rolling back a unit of work failed");
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
