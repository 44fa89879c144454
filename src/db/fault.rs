//! What an error of a database means: try again later, try again now, or our fault.

use sea_orm::{DbErr, RuntimeErr, SqlErr, sqlx};

use crate::error::{Code, Error};

/// SQLite's primary result codes that say that the disk or the file is at fault: IOERR, READONLY, FULL, CANTOPEN, and BUSY,
/// which another program holds against us (<https://sqlite.org/rescode.html>).
const SQLITE_AWAY: [i32; 5] = [10, 8, 13, 14, 5];
/// The same of PostgreSQL: insufficient resources, operator intervention, system errors, lost connections; classes of SQLSTATE.
const POSTGRES_AWAY: [&str; 4] = ["53", "57P", "58", "08"];
/// A transaction that may only read, as on a standby; and one that stood still for too long.
const POSTGRES_AWAY_ALONE: [&str; 2] = ["25006", "25P03"];
/// Races that were lost: a deadlock, a serialisation failure, a lock that did not come in time.
const POSTGRES_LOST: [&str; 3] = ["40P01", "40001", "55P03"];

/// Whether an error says that a unique key exists already.
pub fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// The error of the driver below an error of the database.
pub(super) fn driver(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

/// Whether the database or its disk cannot work for now: it may be better later, without anybody changing the request.
pub(super) fn is_away(error: &DbErr) -> bool {
    match (error, driver(error)) {
        (DbErr::ConnectionAcquire(_) | DbErr::Conn(_), _) => true,
        (_, Some(sqlx::Error::Database(fault))) => is_away_code(fault.as_ref()),
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

fn is_away_code(fault: &dyn sqlx::error::DatabaseError) -> bool {
    let Some(code) = fault.code() else { return false };
    if fault.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        // The low byte of an extended code is the primary one.
        return code
            .parse::<i32>()
            .is_ok_and(|code| SQLITE_AWAY.contains(&(code & 0xff)));
    }
    POSTGRES_AWAY.iter().any(|class| code.starts_with(class)) || POSTGRES_AWAY_ALONE.contains(&&*code)
}

pub(super) fn is_lost_race(error: &DbErr) -> bool {
    match driver(error) {
        Some(sqlx::Error::Database(fault)) => fault.code().is_some_and(|code| POSTGRES_LOST.contains(&&*code)),
        _ => false,
    }
}

/// What is answered while the database cannot work.
pub(super) fn away(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let message = "the database cannot be used now; try again later";
    Error::new(Code::Unavailable, message).caused_by(cause)
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        let text = error.to_string();
        if is_away(&error) {
            away(text)
        } else if is_lost_race(&error) {
            Self::new(Code::Contended, "another writer was faster; try again").caused_by(text)
        } else {
            Self::internal("the database refused", text)
        }
    }
}
