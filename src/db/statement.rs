//! Hand-written statements for both databases. Frequent operations, such as the start of a run, use these statements.
//! On SQLite, building a statement with SeaORM costs more than executing it.
//!
//! A statement has the parameters `$1`, `$2` and so on. The parameters must first occur in this order, because SQLite
//! numbers them by first occurrence. Columns are read in the order in which the statement returns them.

use chrono::{DateTime, Utc};
use rusqlite::types::{FromSql, ValueRef};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, TryGetable, Value};
use uuid::Uuid;

/// The SQL of a statement on each database.
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    sqlite: &'static str,
    postgres: &'static str,
}

impl Sql {
    /// The same SQL on both databases.
    pub const fn new(text: &'static str) -> Self {
        Self {
            sqlite: text,
            postgres: text,
        }
    }

    /// Different SQL on each database, for example with a row lock on PostgreSQL. SQLite needs no row lock, because
    /// SQLite has only one writer.
    pub const fn different(sqlite: &'static str, postgres: &'static str) -> Self {
        Self { sqlite, postgres }
    }

    pub(super) fn sqlite(self) -> &'static str {
        self.sqlite
    }

    pub(super) fn for_postgres(self, values: impl IntoIterator<Item = Value>) -> Statement {
        Statement::from_sql_and_values(DbBackend::Postgres, self.postgres, values)
    }

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

/// A query for rows by id. On PostgreSQL, one statement finds the rows of several ids.
#[derive(Clone, Copy, Debug)]
pub struct ById {
    /// The query up to the id, such as `SELECT … WHERE id`.
    pub before: &'static str,
    /// `before` followed by ` = $1`, for SQLite.
    pub one: &'static str,
    /// The SQL after the list of ids on PostgreSQL, such as `ORDER BY id FOR UPDATE`.
    pub after: &'static str,
}

/// Permitted numbers of ids in one PostgreSQL query. [`padded`] extends a list to the next permitted number, so that
/// PostgreSQL prepares few different statements.
const SIZES: [usize; 5] = [1, 4, 16, 64, 256];

/// Repeats the last item until the length of the list is one of the ascending `sizes`. The statement must ignore
/// repeated items.
pub fn padded<'a, T>(items: &'a [T], sizes: &[usize]) -> impl Iterator<Item = &'a T> + use<'a, T> {
    let size = sizes.iter().copied().find(|size| items.len() <= *size);
    let last = items.last().into_iter().cycle();
    items.iter().chain(last).take(size.unwrap_or(items.len()))
}

impl ById {
    /// Each statement finds the rows of up to 256 ids.
    pub(super) fn for_postgres(self, ids: &[Uuid]) -> impl Iterator<Item = Statement> {
        ids.chunks(SIZES[SIZES.len() - 1]).map(move |ids| {
            let values: Vec<Value> = padded(ids, &SIZES).map(|id| Value::from(*id)).collect();
            let places: Vec<String> = (1..=values.len()).map(|place| format!("${place}")).collect();
            let text = format!("{} IN ({}) {}", self.before, places.join(","), self.after);
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

/// A row of a result. Each call of [`Row::take`] reads the next column.
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

    fn of_postgres(row: &'a QueryResult) -> Self {
        Self {
            source: Source::Postgres(row),
            next: 0,
        }
    }

    /// Fails if the column cannot be converted to `T`, for example if it is NULL and `T` is not an option.
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

pub type ReadRow<T> = fn(&mut Row<'_>) -> Result<T, DbErr>;

/// A handle that can execute hand-written queries.
pub trait Rows: ConnectionTrait {
    /// Reads each row with `read`.
    fn rows<T: Send>(&self, query: Bound, read: ReadRow<T>) -> impl Future<Output = Result<Vec<T>, DbErr>> + Send;

    /// Reads the first row with `read`; `None` if there is no row.
    fn row<T: Send>(&self, query: Bound, read: ReadRow<T>) -> impl Future<Output = Result<Option<T>, DbErr>> + Send {
        async move { Ok(self.rows(query, read).await?.into_iter().next()) }
    }
}

/// Reads each row with `read`.
pub(super) async fn rows_of_postgres<T>(
    db: &impl ConnectionTrait,
    statement: Statement,
    read: ReadRow<T>,
) -> Result<Vec<T>, DbErr> {
    let rows = db.query_all_raw(statement).await?;
    rows.iter().map(|row| read(&mut Row::of_postgres(row))).collect()
}

/// A Rust type to which [`Row::take`] can convert a column.
pub trait Cell: TryGetable {
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
