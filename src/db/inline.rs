//! Executes short SQLite reads in the calling thread.
//!
//! A read through sqlx costs two thread hops, which take longer than a read of a few rows. A statement here blocks
//! its thread, so the statement must read only a few pages. A connection is never held across an `await`, so there
//! are no more connections than threads.

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sea_orm::{DbErr, Value};

use super::{direct::Direct, sqlite, statement::ReadRow};

/// Read-only connections, opened on first use.
pub(super) struct InlineReaders {
    file: PathBuf,
    idle: Mutex<Vec<Direct>>,
}

impl InlineReaders {
    /// The database must be in WAL mode.
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            file,
            idle: Mutex::default(),
        }
    }

    /// Executes a query and reads each row with `read`.
    ///
    /// # Errors
    /// The error of the statement, or the first error of `read`.
    pub(super) fn query<T>(&self, sql: &str, values: &[Value], read: ReadRow<T>) -> Result<Vec<T>, DbErr> {
        let idle = self.idle().pop();
        let reader = match idle {
            Some(reader) => reader,
            None => sqlite::inline_reader(&self.file)?,
        };
        let rows = reader.query(sql, values, read);
        self.idle().push(reader);
        rows
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Direct>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
