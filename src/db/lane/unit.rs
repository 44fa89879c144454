//! A unit of work on the write connection of SQLite.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Value, Values};
use sea_query_sqlx::SqlxValues;
use sqlx::{AssertSqlSafe, Connection, Sqlite, SqliteConnection, query::Query};
use tokio::sync::{MutexGuard, oneshot};
use tracing::error;

use super::Outcome;
use crate::db::{direct::Direct, fault::of_statement, statement::ReadRow};

/// Whether a unit sets a savepoint before its first write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Savepoint {
    Set,
    Skip,
}

pub(in crate::db) struct Writer {
    // Field order: `direct` must be dropped before `connection`.
    direct: Mutex<Direct>,
    connection: tokio::sync::Mutex<SqliteConnection>,
    /// True if sqlx's thread may still use the database handle. sqlx returns the rows of a statement before its
    /// thread has finished the statement.
    is_in_sqlx: AtomicBool,
    /// True from the `BEGIN` to the end of a batch, even if SQLite has rolled back the transaction because of an
    /// error. Such a rollback loses the changes of all earlier units; [`Writer::is_intact`] detects it.
    has_begun: AtomicBool,
}

impl Writer {
    pub(in crate::db) async fn new(mut connection: SqliteConnection) -> Result<Self, DbErr> {
        Ok(Self {
            direct: Mutex::new(Direct::open(&mut connection).await?),
            connection: tokio::sync::Mutex::new(connection),
            is_in_sqlx: AtomicBool::new(false),
            has_begun: AtomicBool::new(false),
        })
    }

    /// Waits until sqlx's thread no longer uses the database handle, then calls `use_it`. Holds the lock of the
    /// connection, so that sqlx cannot use the handle in the meantime.
    async fn direct<T>(&self, use_it: impl FnOnce(&Direct) -> T) -> Result<T, DbErr> {
        let mut connection = self.connection.lock().await;
        if self.is_in_sqlx.load(Ordering::Relaxed) {
            // sqlx's thread executes its commands in order, so its answer means that all earlier statements have
            // finished.
            connection.ping().await.map_err(of_statement)?;
            self.is_in_sqlx.store(false, Ordering::Relaxed);
        }
        let direct = self.direct.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(use_it(&direct))
    }

    async fn sqlx(&self) -> MutexGuard<'_, SqliteConnection> {
        let connection = self.connection.lock().await;
        self.is_in_sqlx.store(true, Ordering::Relaxed);
        connection
    }

    async fn execute(&self, sql: &str) -> Result<(), DbErr> {
        self.direct(|direct| direct.execute(sql, &[])).await?.map(drop)
    }

    /// False if SQLite has ended the transaction of the batch, or if that is unknown.
    pub(super) async fn is_intact(&self) -> bool {
        !self.has_begun.load(Ordering::Relaxed) || matches!(self.direct(Direct::is_autocommit).await, Ok(false))
    }

    /// Begins the transaction of the batch if necessary, then sets the savepoint of the unit.
    pub(super) async fn begin_unit(&self, savepoint: Savepoint) -> Result<(), DbErr> {
        if !self.is_intact().await {
            return Err(lost());
        }
        if !self.has_begun.load(Ordering::Relaxed) {
            self.execute("BEGIN IMMEDIATE").await?;
            self.has_begun.store(true, Ordering::Relaxed);
        }
        match savepoint {
            Savepoint::Set => self.execute("SAVEPOINT unit").await,
            Savepoint::Skip => Ok(()),
        }
    }

    /// If the commit fails, [`Writer::roll_back`] must follow.
    pub(super) async fn commit(&self) -> Result<(), DbErr> {
        if !self.has_begun.load(Ordering::Relaxed) {
            return Ok(());
        }
        if !self.is_intact().await {
            return Err(lost());
        }
        self.execute("COMMIT").await?;
        self.has_begun.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Rolls back the transaction of the batch if it is open. Returns false if the rollback failed; the connection
    /// must then not be used any further.
    pub(super) async fn roll_back(&self) -> bool {
        let is_open = self.has_begun.swap(false, Ordering::Relaxed)
            && !matches!(self.direct(Direct::is_autocommit).await, Ok(true));
        if !is_open {
            return true;
        }
        let rolled_back = self.execute("ROLLBACK").await;
        if let Err(fault) = &rolled_back {
            error!(error = %fault, "rolling back a batch failed");
        }
        rolled_back.is_ok()
    }

    /// Ends a unit that has written: releases its savepoint, or rolls back to it. Returns false if the changes of
    /// earlier units of the batch are lost.
    pub(super) async fn end_unit(&self, savepoint: Savepoint, succeeded: bool) -> bool {
        if !self.is_intact().await {
            return false;
        }
        let ended = match (savepoint, succeeded) {
            (Savepoint::Skip, succeeded) => return succeeded,
            (Savepoint::Set, true) => self.execute("RELEASE unit").await,
            (Savepoint::Set, false) => match self.execute("ROLLBACK TO unit").await {
                Ok(()) => self.execute("RELEASE unit").await,
                Err(fault) => Err(fault),
            },
        };
        if let Err(fault) = &ended {
            error!(error = %fault, "ending a unit of work failed");
        }
        ended.is_ok()
    }
}

/// The write connection that a unit returns when it ends.
pub(super) struct Ended {
    pub(super) writer: Writer,
    pub(super) has_written: bool,
    /// Reports the outcome of the commit to the borrower. `None` if the unit is a closure or must be rolled back.
    pub(super) durable: Option<oneshot::Sender<Outcome>>,
}

/// A unit of work with exclusive use of the connection. Without [`Unit::commit`], a lent unit is rolled back on drop.
pub(in crate::db) struct Unit {
    writer: Option<Writer>,
    savepoint: Savepoint,
    has_written: AtomicBool,
    /// Channel that returns the connection of a lent unit to the writer's thread; `None` for a closure.
    back: Option<oneshot::Sender<Ended>>,
}

impl Unit {
    pub(super) fn new(writer: Writer, savepoint: Savepoint) -> Self {
        Self {
            writer: Some(writer),
            savepoint,
            has_written: AtomicBool::new(false),
            back: None,
        }
    }

    /// Creates a lent unit, and the channel through which it returns its connection. The writer's thread must call
    /// [`Writer::begin_unit`] first. That call may wait for a lock, and a lent unit must not block a thread of the
    /// runtime.
    pub(super) fn lent(writer: Writer) -> (Self, oneshot::Receiver<Ended>) {
        let (back, ended) = oneshot::channel();
        let unit = Self {
            writer: Some(writer),
            savepoint: Savepoint::Set,
            has_written: AtomicBool::new(true),
            back: Some(back),
        };
        (unit, ended)
    }

    /// Returns the connection to the writer's thread and waits until the batch is durable.
    pub(in crate::db) async fn commit(mut self) -> Outcome {
        let (durable, outcome) = oneshot::channel();
        self.give_back(Some(durable));
        outcome
            .await
            .unwrap_or_else(|_| Err("the SQLite writer has stopped, or the transaction was rolled back".into()))
    }

    fn give_back(&mut self, durable: Option<oneshot::Sender<Outcome>>) {
        if let Some(back) = self.back.take()
            && let Some(ended) = self.take(durable)
        {
            drop(back.send(ended));
        }
    }

    /// Returns `None` if the connection was lost.
    pub(super) fn take(&mut self, durable: Option<oneshot::Sender<Outcome>>) -> Option<Ended> {
        Some(Ended {
            writer: self.writer.take()?,
            has_written: *self.has_written.get_mut(),
            durable,
        })
    }

    fn writer(&self) -> Result<&Writer, DbErr> {
        let ended = || DbErr::Custom("the unit of work has ended".to_owned());
        self.writer.as_ref().ok_or_else(ended)
    }

    async fn before_write(&self) -> Result<&Writer, DbErr> {
        let writer = self.writer()?;
        if !self.has_written.load(Ordering::Relaxed) {
            writer.begin_unit(self.savepoint).await?;
            self.has_written.store(true, Ordering::Relaxed);
        }
        Ok(writer)
    }

    /// Returns the write connection. If the statement writes, begins the unit first. A unit that only reads needs no
    /// transaction, because there is no other writer.
    async fn before(&self, sql: &str) -> Result<&Writer, DbErr> {
        if sql.starts_with("SELECT ") {
            self.writer()
        } else {
            self.before_write().await
        }
    }

    /// Executes a statement without sqlx. Returns the number of changed rows.
    pub(in crate::db) async fn execute(&self, sql: &str, values: &[Value]) -> Result<u64, DbErr> {
        let writer = self.before_write().await?;
        let outcome = writer.direct(|direct| {
            // Outside a transaction, the statement would be committed at once.
            if direct.is_autocommit() {
                return Err(lost());
            }
            direct.execute(sql, values)
        });
        outcome.await?
    }

    /// Executes a query without sqlx.
    pub(in crate::db) async fn query<T>(&self, sql: &str, values: &[Value], read: ReadRow<T>) -> Result<Vec<T>, DbErr> {
        let writer = self.before(sql).await?;
        writer.direct(|direct| direct.query(sql, values, read)).await?
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        self.give_back(None);
    }
}

#[async_trait]
impl ConnectionTrait for Unit {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Sqlite
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let mut connection = self.before_write().await?.sqlx().await;
        let done = query(statement).execute(&mut *connection).await;
        done.map(ExecResult::from).map_err(of_statement)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut connection = self.before_write().await?.sqlx().await;
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await;
        done.map(ExecResult::from).map_err(of_statement)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut connection = self.before(&statement.sql).await?.sqlx().await;
        let row = query(statement).fetch_optional(&mut *connection).await;
        row.map(|row| row.map(QueryResult::from)).map_err(of_statement)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut connection = self.before(&statement.sql).await?.sqlx().await;
        let rows = query(statement).fetch_all(&mut *connection).await;
        Ok(rows.map_err(of_statement)?.into_iter().map(QueryResult::from).collect())
    }
}

/// Creates the error for a batch whose transaction SQLite has ended. Clients receive UNAVAILABLE and may retry.
fn lost() -> DbErr {
    let message = "SQLite has rolled back the transaction after an error";
    DbErr::Conn(RuntimeErr::Internal(message.to_owned()))
}

fn query(statement: Statement) -> Query<'static, Sqlite, SqlxValues> {
    let values = statement.values.unwrap_or_else(|| Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql), SqlxValues(values))
}
