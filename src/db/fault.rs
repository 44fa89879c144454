//! Classifies database errors: unavailable (retry later), contended (retry at once) or internal.

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc};

use sea_orm::{DbErr, RuntimeErr};
use sqlx::error::{DatabaseError, ErrorKind};

use crate::error::{Code, Error};

/// SQLite's primary result codes for disk and file problems: IOERR, READONLY, FULL, CANTOPEN and BUSY. BUSY means
/// that another program holds a lock (<https://sqlite.org/rescode.html>).
const SQLITE_UNAVAILABLE: [i32; 5] = [10, 8, 13, 14, 5];
/// SQLSTATE prefixes: insufficient resources (53), operator intervention (57P), system errors (58) and connection
/// errors (08).
const POSTGRES_UNAVAILABLE: [&str; 4] = ["53", "57P", "58", "08"];
/// Further SQLSTATE codes: a read-only transaction, for example on a standby server, and an idle-in-transaction
/// timeout.
const POSTGRES_UNAVAILABLE_CODES: [&str; 2] = ["25006", "25P03"];
/// SQLSTATE codes: deadlock, serialisation failure and lock timeout.
const POSTGRES_LOST: [&str; 3] = ["40P01", "40001", "55P03"];

pub fn is_duplicate(error: &DbErr) -> bool {
    matches!(driver(error), Some(sqlx::Error::Database(fault)) if fault.is_unique_violation())
}

/// SQLite's extended result codes for a violated primary key or unique constraint.
const SQLITE_DUPLICATE: [i32; 2] = [1555, 2067];

/// An SQLite error from a statement that ran without sqlx. The type implements [`DatabaseError`], so that the
/// functions of this module classify it like an error from sqlx.
#[derive(Debug)]
pub(super) struct SqliteFailure {
    code: i32,
    message: String,
}

impl SqliteFailure {
    /// `code` is an extended result code.
    pub(super) fn new(code: i32, message: String) -> Self {
        Self { code, message }
    }
}

impl fmt::Display for SqliteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(code: {}) {}", self.code, self.message)
    }
}

impl StdError for SqliteFailure {}

impl DatabaseError for SqliteFailure {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.code.to_string().into())
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        if SQLITE_DUPLICATE.contains(&self.code) {
            ErrorKind::UniqueViolation
        } else {
            ErrorKind::Other
        }
    }
}

pub(super) fn of_statement(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

pub(super) fn driver(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

/// True if a later retry may succeed.
pub(super) fn is_unavailable(error: &DbErr) -> bool {
    match (error, driver(error)) {
        (DbErr::ConnectionAcquire(_) | DbErr::Conn(_), _) => true,
        (_, Some(sqlx::Error::Database(fault))) => is_unavailable_code(fault.as_ref()),
        (_, Some(error)) => matches!(
            error,
            sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
        ),
        (_, None) => false,
    }
}

fn is_unavailable_code(fault: &dyn DatabaseError) -> bool {
    let Some(code) = fault.code() else { return false };
    let is_sqlite = fault.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some()
        || fault.try_downcast_ref::<SqliteFailure>().is_some();
    if is_sqlite {
        // The low byte of an extended result code is the primary code.
        return code
            .parse::<i32>()
            .is_ok_and(|code| SQLITE_UNAVAILABLE.contains(&(code & 0xff)));
    }
    POSTGRES_UNAVAILABLE.iter().any(|class| code.starts_with(class)) || POSTGRES_UNAVAILABLE_CODES.contains(&&*code)
}

pub(super) fn is_lost_race(error: &DbErr) -> bool {
    match driver(error) {
        Some(sqlx::Error::Database(fault)) => fault.code().is_some_and(|code| POSTGRES_LOST.contains(&&*code)),
        _ => false,
    }
}

/// Creates the error for requests while the database is unavailable.
pub(super) fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let message = "the database is temporarily unavailable; retry later";
    Error::new(Code::Unavailable, message).caused_by(cause)
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        let text = error.to_string();
        if is_unavailable(&error) {
            unavailable(text)
        } else if is_lost_race(&error) {
            Self::new(Code::Contended, "another request changed the same data first; retry").caused_by(text)
        } else {
            Self::internal("a database query failed", text)
        }
    }
}
