//! Executes SQLite statements in the calling thread.
//!
//! sqlx gives each SQLite connection its own thread. Each statement therefore costs two thread hops, which take
//! longer than most statements. [`Direct`] executes statements without sqlx. The writer uses its connection with and
//! without sqlx, so one transaction can contain both kinds of statements.

use std::{path::Path, ptr::NonNull, time::Duration};

use chrono::SecondsFormat;
use rusqlite::{
    CachedStatement, Connection, OpenFlags, ffi,
    types::{ToSqlOutput, Value as Owned, ValueRef},
};
use sea_orm::{DbErr, Value};
use sqlx::SqliteConnection;

use super::{
    fault::{SqliteFailure, of_statement},
    statement::{ReadRow, Row},
};

const PREPARED: usize = 128;

pub(super) struct Direct {
    connection: Connection,
}

impl Direct {
    /// Creates a rusqlite connection that shares the database handle of `connection`.
    ///
    /// The owner must drop this value before the sqlx connection. This value and the sqlx connection must never
    /// execute statements at the same time.
    pub(super) async fn open(connection: &mut SqliteConnection) -> Result<Self, DbErr> {
        let handle: NonNull<ffi::sqlite3> = {
            let mut locked = connection.lock_handle().await.map_err(of_statement)?;
            locked.as_raw_handle()
        };
        // SAFETY: The handle belongs to an open sqlx connection. `lane::Writer` owns that connection and this
        // `Direct`, and drops the `Direct` first. While either uses the handle, the writer holds the lock of the
        // connection. Before the writer uses the `Direct`, it waits until sqlx's thread has finished all statements.
        // SQLite permits several threads to use a handle one after another.
        let connection = unsafe { Connection::from_handle(handle.as_ptr()) }.map_err(failed)?;
        Ok(Self::new(connection))
    }

    /// Opens a read-only connection to a database in WAL mode.
    pub(super) fn reader(file: &Path, busy_timeout: Duration, settings: &[(&str, &str)]) -> Result<Self, DbErr> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags).map_err(failed)?;
        connection.busy_timeout(busy_timeout).map_err(failed)?;
        for (name, value) in settings {
            connection.pragma_update(None, name, value).map_err(failed)?;
        }
        Ok(Self::new(connection))
    }

    fn new(connection: Connection) -> Self {
        connection.set_prepared_statement_cache_capacity(PREPARED);
        Self { connection }
    }

    /// Returns the number of changed rows.
    pub(super) fn execute(&self, sql: &str, values: &[Value]) -> Result<u64, DbErr> {
        let mut statement = self.prepare(sql, values)?;
        statement.raw_execute().map(|rows| rows as u64).map_err(failed)
    }

    /// Executes a query and reads each row with `read`.
    pub(super) fn query<T>(&self, sql: &str, values: &[Value], read: ReadRow<T>) -> Result<Vec<T>, DbErr> {
        let mut statement = self.prepare(sql, values)?;
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            found.push(read(&mut Row::of_sqlite(row))?);
        }
        Ok(found)
    }

    /// True if no transaction is open. SQLite itself ends a transaction after some errors, such as a full disk.
    pub(super) fn is_autocommit(&self) -> bool {
        self.connection.is_autocommit()
    }

    fn prepare(&self, sql: &str, values: &[Value]) -> Result<CachedStatement<'_>, DbErr> {
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        for (index, value) in values.iter().enumerate() {
            statement.raw_bind_parameter(index + 1, bound(value)?).map_err(failed)?;
        }
        Ok(statement)
    }
}

/// Converts a value as sqlx does, so that rows have the same format with and without sqlx.
fn bound(value: &Value) -> Result<ToSqlOutput<'_>, DbErr> {
    Ok(match value {
        Value::Bool(value) => owned(*value, |value| Owned::Integer(value.into())),
        Value::SmallInt(value) => owned(*value, |value| Owned::Integer(value.into())),
        Value::Int(value) => owned(*value, |value| Owned::Integer(value.into())),
        Value::BigInt(value) => owned(*value, Owned::Integer),
        Value::BigUnsigned(value) => {
            let value = value.map(i64::try_from).transpose();
            owned(
                value.map_err(|_| unknown("an integer that is too large"))?,
                Owned::Integer,
            )
        }
        Value::Double(value) => owned(*value, Owned::Real),
        Value::String(value) => borrowed(value.as_ref().map(|text| ValueRef::Text(text.as_bytes()))),
        Value::Bytes(value) => borrowed(value.as_ref().map(|bytes| ValueRef::Blob(bytes))),
        Value::Uuid(value) => borrowed(value.as_ref().map(|id| ValueRef::Blob(id.as_bytes()))),
        Value::ChronoDateTimeUtc(value) => owned(*value, |at| {
            Owned::Text(at.to_rfc3339_opts(SecondsFormat::AutoSi, false))
        }),
        Value::Json(value) => owned(value.as_ref(), |json| Owned::Text(json.to_string())),
        other => return Err(unknown(&format!("{:?}", other.array_type()))),
    })
}

fn owned<'v, T>(value: Option<T>, convert: impl FnOnce(T) -> Owned) -> ToSqlOutput<'v> {
    ToSqlOutput::Owned(value.map_or(Owned::Null, convert))
}

fn borrowed(value: Option<ValueRef<'_>>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(value.unwrap_or(ValueRef::Null))
}

fn unknown(kind: &str) -> DbErr {
    DbErr::Type(format!("SQLite cannot store a value of this type: {kind}"))
}

fn failed(error: rusqlite::Error) -> DbErr {
    match error {
        rusqlite::Error::SqliteFailure(failure, message) => {
            let message = message.unwrap_or_else(|| failure.to_string());
            of_statement(sqlx::Error::Database(Box::new(SqliteFailure::new(
                failure.extended_code,
                message,
            ))))
        }
        other => DbErr::Custom(other.to_string()),
    }
}
