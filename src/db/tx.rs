//! A unit of work in progress, and the statements that it can execute.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, Value};
use tracing::warn;
use uuid::Uuid;

use super::{
    each::ForEach,
    fault,
    health::Health,
    lane::Unit,
    postgres,
    statement::{Bound, ById, ReadRow, Rows, rows_of_postgres},
    text,
};
use crate::{
    error::{Error, Result},
    telemetry::names,
};

/// Creates the error for a unit of work whose batch SQLite could not commit. The usual cause is the disk, so `health`
/// records the failure.
pub(super) fn commit_failed(name: &str, health: &Health, fault: &str) -> Error {
    health.failed();
    fault::unavailable(format!("{name}: {fault}"))
}

/// Counts a commit of the database.
pub(super) fn measure_commit(took: Duration, succeeded: bool) {
    metrics::histogram!(names::COMMIT_SECONDS).record(took);
    if !succeeded {
        metrics::counter!(names::COMMIT_FAILURES).increment(1);
    }
}

/// A unit of work in progress.
pub struct Tx {
    name: &'static str,
    work: Work,
    health: Health,
    /// True if the unit changed anything. A commit without changes does not prove that the disk can be written.
    changed: AtomicBool,
    // Declared after `work`, and therefore dropped after `work`.
    kept: Option<Box<dyn Send + Sync>>,
}

pub(super) enum Work {
    Unit(Unit),
    Transaction(postgres::Transaction),
}

impl Tx {
    pub(super) fn new(name: &'static str, work: Work, health: Health) -> Self {
        Self {
            name,
            work,
            health,
            changed: AtomicBool::new(false),
            kept: None,
        }
    }

    /// Returns SQLite's write connection (`None` on PostgreSQL), and whether this unit changed anything.
    pub(super) fn into_unit(self) -> (Option<Unit>, bool) {
        let unit = match self.work {
            Work::Unit(unit) => Some(unit),
            Work::Transaction(_) => None,
        };
        (unit, self.changed.into_inner())
    }

    /// Holds a value, such as the guard of a queue, until the unit of work ends.
    #[must_use]
    pub fn keeping(mut self, kept: impl Send + Sync + 'static) -> Self {
        self.kept = Some(Box::new(kept));
        self
    }

    /// Commits the unit of work. On SQLite, returns after the commit of the unit's batch.
    ///
    /// # Errors
    /// CONTENDED if the database requests a retry, UNAVAILABLE if the database or its disk is unavailable, otherwise
    /// INTERNAL. If the connection or the disk failed during the commit, the outcome of the commit is unknown. After
    /// any other error, the unit has been rolled back.
    pub async fn commit(self) -> Result<()> {
        let (name, health) = (self.name, self.health);
        let has_changed = self.changed.into_inner();
        match self.work {
            Work::Unit(unit) => {
                let outcome = unit.commit().await;
                outcome.map_err(|fault| commit_failed(name, &health, &fault))?;
            }
            Work::Transaction(tx) => {
                let began = Instant::now();
                let committed = tx.commit().await;
                measure_commit(began.elapsed(), committed.is_ok());
                committed.map_err(|error| {
                    if fault::is_unavailable(&error) {
                        health.failed();
                    }
                    let error = Error::from(error);
                    warn!(unit = name, %error, "a unit of work failed to commit");
                    error
                })?;
            }
        }
        if has_changed {
            health.written();
        }
        Ok(())
    }

    fn note_change(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }

    fn noting<T>(&self, outcome: Result<T, DbErr>) -> Result<T, DbErr> {
        if let Err(error) = &outcome
            && fault::is_unavailable(error)
        {
            self.health.failed();
        }
        outcome
    }

    /// Returns the number of changed rows.
    pub async fn change(&self, Bound { sql, values }: Bound) -> Result<u64, DbErr> {
        let changed = match &self.work {
            Work::Unit(unit) => self.noting(unit_execute(unit, sql.sqlite(), &values).await)?,
            Work::Transaction(_) => self.execute_raw(sql.for_postgres(values)).await?.rows_affected(),
        };
        if changed > 0 {
            self.note_change();
        }
        Ok(changed)
    }

    /// Finds rows by id, sorted by id. On PostgreSQL, one statement finds the rows of many ids.
    pub async fn rows_by_id<T: Send>(&self, query: ById, ids: &[Uuid], read: ReadRow<T>) -> Result<Vec<T>, DbErr> {
        // All transactions must lock rows in one order, so that they cannot deadlock.
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let mut found = Vec::with_capacity(ids.len());
        match &self.work {
            Work::Unit(unit) => {
                for id in &ids {
                    text::say(DbBackend::Sqlite, query.one);
                    found.extend(self.noting(unit.query(query.one, &[(*id).into()], read).await)?);
                }
            }
            Work::Transaction(_) => {
                for statement in query.for_postgres(&ids) {
                    found.extend(rows_of_postgres(self, statement, read).await?);
                }
            }
        }
        Ok(found)
    }

    /// Executes changes one after another, up to the first failure.
    pub async fn change_all(&self, changes: Vec<Bound>) -> Result<(), DbErr> {
        for change in changes {
            self.change(change).await?;
        }
        Ok(())
    }

    /// Repeats a write for each row, up to the first failure.
    pub async fn change_each(&self, write: ForEach, rows: &[Vec<Value>]) -> Result<(), DbErr> {
        match &self.work {
            Work::Unit(unit) => {
                for row in rows {
                    if self.noting(unit_execute(unit, write.one, row).await)? > 0 {
                        self.note_change();
                    }
                }
            }
            Work::Transaction(_) => {
                for statement in write.for_postgres(rows) {
                    self.execute_raw(statement).await?;
                }
            }
        }
        Ok(())
    }

    /// Does the same as [`Tx::change_each`] with a write that returns rows.
    pub async fn rows_of_each<T: Send>(
        &self,
        write: ForEach,
        rows: &[Vec<Value>],
        read: ReadRow<T>,
    ) -> Result<Vec<T>, DbErr> {
        let mut found = Vec::with_capacity(rows.len());
        match &self.work {
            Work::Unit(unit) => {
                for row in rows {
                    text::say(DbBackend::Sqlite, write.one);
                    found.extend(self.noting(unit.query(write.one, row, read).await)?);
                }
            }
            Work::Transaction(_) => {
                for statement in write.for_postgres(rows) {
                    found.extend(rows_of_postgres(self, statement, read).await?);
                }
            }
        }
        if !found.is_empty() {
            self.note_change();
        }
        Ok(found)
    }

    /// Executes several writes. On PostgreSQL, the writes are combined into one statement, which takes one round trip
    /// and reads one snapshot. A write must therefore not read or modify rows that another of these writes modifies.
    /// A foreign key may refer to a row that another of these writes inserts, because foreign keys are checked last.
    ///
    /// # Errors
    /// The error of the first write that fails. On SQLite, the writes before it have been executed.
    pub async fn change_together(&self, changes: Vec<Bound>) -> Result<(), DbErr> {
        match &self.work {
            Work::Unit(_) => self.change_all(changes).await,
            Work::Transaction(_) => {
                let statements = changes.into_iter().map(|change| change.sql.for_postgres(change.values));
                match text::as_one(statements) {
                    Some(statement) => self.execute_raw(statement).await.map(drop),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Rows for Tx {
    async fn rows<T: Send>(&self, Bound { sql, values }: Bound, read: ReadRow<T>) -> Result<Vec<T>, DbErr> {
        match &self.work {
            Work::Unit(unit) => {
                text::say(DbBackend::Sqlite, sql.sqlite());
                self.noting(unit.query(sql.sqlite(), &values, read).await)
            }
            Work::Transaction(_) => rows_of_postgres(self, sql.for_postgres(values), read).await,
        }
    }
}

async fn unit_execute(unit: &Unit, sql: &str, values: &[Value]) -> Result<u64, DbErr> {
    text::say(DbBackend::Sqlite, sql);
    unit.execute(sql, values).await
}

#[async_trait::async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        match &self.work {
            Work::Unit(_) => DbBackend::Sqlite,
            Work::Transaction(tx) => tx.get_database_backend(),
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        text::say(self.get_database_backend(), &statement.sql);
        let outcome = match &self.work {
            Work::Unit(unit) => unit.execute_raw(statement).await,
            Work::Transaction(tx) => tx.execute_raw(statement).await,
        };
        let done = self.noting(outcome)?;
        if done.rows_affected() > 0 {
            self.note_change();
        }
        Ok(done)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let outcome = match &self.work {
            Work::Unit(unit) => unit.execute_unprepared(sql).await,
            Work::Transaction(tx) => tx.execute_unprepared(sql).await,
        };
        self.noting(outcome)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        text::say(self.get_database_backend(), &statement.sql);
        let outcome = match &self.work {
            Work::Unit(unit) => unit.query_one_raw(statement).await,
            Work::Transaction(tx) => tx.query_one_raw(statement).await,
        };
        self.noting(outcome)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        text::say(self.get_database_backend(), &statement.sql);
        let outcome = match &self.work {
            Work::Unit(unit) => unit.query_all_raw(statement).await,
            Work::Transaction(tx) => tx.query_all_raw(statement).await,
        };
        self.noting(outcome)
    }
}
