//! Classifies database errors: unavailable (retry later), contended (retry immediately) or internal.

use sea_orm::{DbErr, RuntimeErr, SqlErr};

use crate::error::{Code, Error};

/// SQLite primary result codes for disk and file problems: IOERR, READONLY, FULL, CANTOPEN, and BUSY, which means that
/// another program holds a lock (<https://sqlite.org/rescode.html>).
const SQLITE_UNAVAILABLE: [i32; 5] = [10, 8, 13, 14, 5];
/// Prefixes of the SQLSTATE codes for an unavailable database: insufficient resources (53), operator intervention
/// (57P), system errors (58) and connection errors (08).
const POSTGRES_UNAVAILABLE: [&str; 4] = ["53", "57P", "58", "08"];
/// SQLSTATE codes for an unavailable database that no prefix covers: a read-only transaction, for example on a standby
/// server, and an idle-in-transaction timeout.
const POSTGRES_UNAVAILABLE_CODES: [&str; 2] = ["25006", "25P03"];
/// SQLSTATE codes of a lost race: deadlock, serialisation failure and lock timeout.
const POSTGRES_LOST: [&str; 3] = ["40P01", "40001", "55P03"];

/// Returns true if an error is a unique constraint violation.
pub fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// Returns the sqlx error inside a database error.
pub(super) fn driver(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

/// Returns true if the database or its disk is temporarily unavailable, so that a retry may succeed.
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

fn is_unavailable_code(fault: &dyn sqlx::error::DatabaseError) -> bool {
    let Some(code) = fault.code() else { return false };
    if fault.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
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
