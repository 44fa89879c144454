//! Statements that are written by hand, once for both databases. The run path uses them, because building a statement
//! with SeaORM costs more than executing it on SQLite.
//!
//! A statement is a constant text with the parameters `$1`, `$2` and so on, each of which first occurs in this order
//! (SQLite numbers them by their first occurrence). Rows are read column by column, in the order of the text.

use chrono::{DateTime, Utc};
use rusqlite::types::{FromSql, ValueRef};
use sea_orm::{DbBackend, DbErr, QueryResult, Statement, TryGetable, Value};
use uuid::Uuid;

/// The text of a statement.
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    sqlite: &'static str,
    postgres: &'static str,
}

impl Sql {
    /// A statement with the same text on both databases.
    pub const fn new(text: &'static str) -> Self {
        Self {
            sqlite: text,
            postgres: text,
        }
    }

    /// A statement with a different text on each database, for example with a row lock on PostgreSQL. SQLite needs no
    /// row lock, because only one writer works at a time.
    pub const fn different(sqlite: &'static str, postgres: &'static str) -> Self {
        Self { sqlite, postgres }
    }

    pub(super) fn sqlite(self) -> &'static str {
        self.sqlite
    }

    pub(super) fn for_postgres(self, values: impl IntoIterator<Item = Value>) -> Statement {
        Statement::from_sql_and_values(DbBackend::Postgres, self.postgres, values)
    }

    /// Binds values to the statement.
    pub fn with(self, values: impl Into<Vec<Value>>) -> Bound {
        Bound {
            sql: self,
            values: values.into(),
        }
    }
}

/// A hand-written statement with its values.
#[derive(Clone, Debug)]
pub struct Bound {
    pub(super) sql: Sql,
    pub(super) values: Vec<Value>,
}

/// A query for the rows with an id, which finds several rows at once on PostgreSQL.
#[derive(Clone, Copy, Debug)]
pub struct ById {
    /// The query up to the id, such as `SELECT … WHERE id`.
    pub before: &'static str,
    /// The query for one row: `before` with ` = $1`.
    pub one: &'static str,
    /// The end of the query on PostgreSQL, with the order and the lock of the rows.
    pub after: &'static str,
}

/// Numbers of ids that a query by id may have on PostgreSQL. Only these numbers are used, so that the database keeps the
/// statements prepared. The last id is repeated.
const SIZES: [usize; 5] = [1, 4, 16, 64, 256];

impl ById {
    /// Builds the queries for a list of ids.
    pub(super) fn for_postgres(self, ids: &[Uuid]) -> impl Iterator<Item = Statement> {
        ids.chunks(SIZES[SIZES.len() - 1]).map(move |ids| {
            let size = SIZES.into_iter().find(|size| ids.len() <= *size).unwrap_or(ids.len());
            let places: Vec<String> = (1..=size).map(|place| format!("${place}")).collect();
            let text = format!("{} IN ({}) {}", self.before, places.join(","), self.after);
            let values = (0..size).map(|place| Value::from(ids[place.min(ids.len() - 1)]));
            Statement::from_sql_and_values(DbBackend::Postgres, text, values)
        })
    }
}

/// Defines a query that locks its rows on PostgreSQL: `locking!("SELECT …", " FOR UPDATE")`.
macro_rules! locking {
    ($text:literal, $lock:literal) => {
        $crate::db::Sql::different($text, concat!($text, $lock))
    };
}
pub(crate) use locking;

/// Defines a query by id: `by_id!("SELECT … WHERE id", "ORDER BY id FOR UPDATE")`.
macro_rules! by_id {
    ($before:literal, $after:literal) => {
        $crate::db::ById {
            before: $before,
            one: concat!($before, " = $1"),
            after: $after,
        }
    };
}
pub(crate) use by_id;

/// A row of the result of a [`Sql`] statement. Each call of [`Row::take`] reads the next column.
pub struct Row<'a> {
    source: Source<'a>,
    next: usize,
}

enum Source<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a QueryResult),
}

impl<'a> Row<'a> {
    pub(super) fn of_sqlite(row: &'a rusqlite::Row<'a>) -> Self {
        Self {
            source: Source::Sqlite(row),
            next: 0,
        }
    }

    pub(super) fn of_postgres(row: &'a QueryResult) -> Self {
        Self {
            source: Source::Postgres(row),
            next: 0,
        }
    }

    /// Reads the next column.
    ///
    /// # Errors
    /// A type error if the column has another type, or is NULL and `T` is not an option.
    pub fn take<T: Cell>(&mut self) -> Result<T, DbErr> {
        let column = self.next;
        self.next += 1;
        match self.source {
            Source::Sqlite(row) => {
                let value = row.get_ref(column).map_err(|error| wrong(column, &error))?;
                T::of_sqlite(value).map_err(|error| wrong(column, &error))
            }
            Source::Postgres(row) => Ok(T::try_get_by(row, column)?),
        }
    }
}

fn wrong(column: usize, error: &impl ToString) -> DbErr {
    DbErr::Type(format!("column {column}: {}", error.to_string()))
}

/// A function that reads one row.
pub type ReadRow<T> = fn(&mut Row<'_>) -> Result<T, DbErr>;

/// The type of a column that [`Row::take`] can read.
pub trait Cell: TryGetable {
    /// Converts a value of SQLite.
    ///
    /// # Errors
    /// A type error.
    fn of_sqlite(value: ValueRef<'_>) -> Result<Self, rusqlite::types::FromSqlError>;
}

macro_rules! cells {
    ($($kind:ty),*) => {$(
        impl Cell for $kind {
            fn of_sqlite(value: ValueRef<'_>) -> Result<Self, rusqlite::types::FromSqlError> {
                Self::column_result(value)
            }
        }
    )*};
}
cells!(bool, i16, i32, i64, String, Vec<u8>);

impl Cell for Uuid {
    fn of_sqlite(value: ValueRef<'_>) -> Result<Self, rusqlite::types::FromSqlError> {
        Ok(Self::from_bytes(<[u8; 16]>::column_result(value)?))
    }
}

impl Cell for DateTime<Utc> {
    fn of_sqlite(value: ValueRef<'_>) -> Result<Self, rusqlite::types::FromSqlError> {
        let time = DateTime::parse_from_rfc3339(value.as_str()?);
        Ok(time.map_err(rusqlite::types::FromSqlError::other)?.with_timezone(&Utc))
    }
}

impl<T: Cell> Cell for Option<T>
where
    Self: TryGetable,
{
    fn of_sqlite(value: ValueRef<'_>) -> Result<Self, rusqlite::types::FromSqlError> {
        match value {
            ValueRef::Null => Ok(None),
            value => T::of_sqlite(value).map(Some),
        }
    }
}
