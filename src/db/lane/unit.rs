//! A unit of work on the write connection of SQLite.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Value};
use sea_query_sqlx::SqlxValues;
use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection, query::Query};
use tokio::sync::{MutexGuard, oneshot};
use tracing::error;

use super::Outcome;
use crate::db::{direct::Direct, statement::ReadRow};

/// Whether a unit sets a savepoint before its first write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Savepoint {
    Set,
    Skip,
}

/// The write connection.
pub(in crate::db) struct Writer {
    // The order of the fields matters: `direct` must be dropped first.
    direct: Mutex<Direct>,
    connection: tokio::sync::Mutex<SqliteConnection>,
    /// True if sqlx's thread may still use the database handle. sqlx returns the rows of a statement before its thread
    /// has finished the statement.
    is_in_sqlx: AtomicBool,
}

impl Writer {
    /// Prepares a connection for units of work.
    ///
    /// # Errors
    /// Database errors.
    pub(in crate::db) async fn new(mut connection: SqliteConnection) -> Result<Self, DbErr> {
        Ok(Self {
            direct: Mutex::new(Direct::open(&mut connection).await?),
            connection: tokio::sync::Mutex::new(connection),
            is_in_sqlx: AtomicBool::new(false),
        })
    }

    /// Waits until sqlx's thread no longer uses the database handle, then calls `use_it`.
    async fn direct<T>(&self, use_it: impl FnOnce(&Direct) -> T) -> Result<T, DbErr> {
        if self.is_in_sqlx.load(Ordering::Relaxed) {
            let mut connection = self.connection.lock().await;
            // sqlx's thread grants this lock after it has finished all earlier statements. When the lock is released,
            // the thread waits for the next statement.
            drop(connection.lock_handle().await.map_err(failed)?);
            self.is_in_sqlx.store(false, Ordering::Relaxed);
        }
        Ok(use_it(&self.direct.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    async fn sqlx(&self) -> MutexGuard<'_, SqliteConnection> {
        let connection = self.connection.lock().await;
        self.is_in_sqlx.store(true, Ordering::Relaxed);
        connection
    }

    async fn is_autocommit(&self) -> Result<bool, DbErr> {
        self.direct(Direct::is_autocommit).await
    }

    async fn execute(&self, sql: &str) -> Result<(), DbErr> {
        self.direct(|direct| direct.execute(sql, &[])).await?.map(drop)
    }

    /// Begins the transaction of the batch if none is open. Then sets the savepoint of the unit, unless `savepoint` is
    /// `Skip`.
    pub(super) async fn begin_unit(&self, savepoint: Savepoint) -> Result<(), DbErr> {
        if self.is_autocommit().await? {
            self.execute("BEGIN IMMEDIATE").await?;
        }
        match savepoint {
            Savepoint::Set => self.execute("SAVEPOINT unit").await,
            Savepoint::Skip => Ok(()),
        }
    }

    /// Commits the open transaction, if there is one. Rolls it back if the commit fails.
    pub(super) async fn commit(&self) -> Result<(), DbErr> {
        if self.is_autocommit().await? {
            return Ok(());
        }
        let outcome = self.execute("COMMIT").await;
        if outcome.is_err() {
            self.roll_back().await;
        }
        outcome
    }

    /// Rolls back the open transaction. Does nothing if no transaction is open: after some errors, SQLite has already
    /// ended the transaction.
    pub(super) async fn roll_back(&self) {
        if matches!(self.is_autocommit().await, Ok(true)) {
            return;
        }
        if let Err(fault) = self.execute("ROLLBACK").await {
            error!(error = %fault, "rolling back a batch failed");
        }
    }

    /// Ends a unit that has written: releases its savepoint, or rolls back to it. Returns false if the changes of the
    /// earlier units of the batch cannot be kept.
    pub(super) async fn end_unit(&self, savepoint: Savepoint, succeeded: bool) -> bool {
        if !matches!(self.is_autocommit().await, Ok(false)) {
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
    /// The channel for the outcome of a lent unit's commit; `None` for a closure, and for a lent unit that must be
    /// rolled back.
    pub(super) durable: Option<oneshot::Sender<Outcome>>,
}

/// A unit of work with exclusive use of the connection. A lent unit that is dropped without [`Unit::commit`] is rolled
/// back.
pub(in crate::db) struct Unit {
    writer: Option<Writer>,
    savepoint: Savepoint,
    has_written: AtomicBool,
    /// The channel that returns the connection of a lent unit to the writer's thread; `None` for a closure.
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

    /// Creates a unit that returns its connection through the channel. [`Writer::begin_unit`] must have been called
    /// before: that call may wait for a lock, and a lent unit must not block a thread of the runtime.
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

    /// Takes the connection out of a unit. Returns `None` if the connection was lost.
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

    /// Begins the transaction and sets the savepoint, if this is the unit's first write.
    async fn before_write(&self) -> Result<&Writer, DbErr> {
        let writer = self.writer()?;
        if !self.has_written.swap(true, Ordering::Relaxed) {
            writer.begin_unit(self.savepoint).await?;
        }
        Ok(writer)
    }

    /// Prepares for a statement: calls [`Self::before_write`] if the statement may write. A unit that only reads needs
    /// no transaction, because there is no other writer.
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
        writer.direct(|direct| direct.execute(sql, values)).await?
    }

    /// Executes a query without sqlx and reads each row with `read`.
    pub(in crate::db) async fn query<T>(
        &self,
        sql: &str,
        values: &[Value],
        read: ReadRow<T>,
    ) -> Result<Vec<T>, DbErr> {
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
        done.map(ExecResult::from).map_err(failed)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut connection = self.before_write().await?.sqlx().await;
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await;
        done.map(ExecResult::from).map_err(failed)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut connection = self.before(&statement.sql).await?.sqlx().await;
        let row = query(statement).fetch_optional(&mut *connection).await;
        row.map(|row| row.map(QueryResult::from)).map_err(failed)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut connection = self.before(&statement.sql).await?.sqlx().await;
        let rows = query(statement).fetch_all(&mut *connection).await;
        Ok(rows.map_err(failed)?.into_iter().map(QueryResult::from).collect())
    }
}

fn query(statement: Statement) -> Query<'static, Sqlite, SqlxValues> {
    let values = statement.values.map_or_else(Vec::new, |values| values.0);
    sqlx::query_with(AssertSqlSafe(statement.sql), SqlxValues(sea_orm::Values(values)))
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(std::sync::Arc::new(error)))
}
