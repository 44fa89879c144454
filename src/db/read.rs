//! Reads outside units of work. On SQLite, reads use connections that stay open. On PostgreSQL, reads use the pool.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};

use super::{
    Connections, Rows,
    held::Readers,
    inline::InlineReaders,
    postgres::Pool,
    statement::{Bound, ReadRow, rows_of_postgres},
    text,
};

/// A handle for reads outside a unit of work. These reads see only committed data.
#[derive(Clone)]
pub struct Read {
    from: ReadFrom,
}

#[derive(Clone)]
enum ReadFrom {
    Sqlite(Arc<SqliteReaders>),
    Pool(Pool),
}

struct SqliteReaders {
    held: Readers,
    inline: InlineReaders,
}

impl Read {
    pub(super) fn from_sqlite(held: Readers, inline: InlineReaders) -> Self {
        let from = ReadFrom::Sqlite(Arc::new(SqliteReaders { held, inline }));
        Self { from }
    }

    pub(super) fn from_pool(pool: Pool) -> Self {
        let from = ReadFrom::Pool(pool);
        Self { from }
    }

    /// The connections on SQLite that stay open; none on PostgreSQL.
    pub(super) fn connections(&self) -> Connections {
        match &self.from {
            ReadFrom::Sqlite(readers) => readers.held.connections(),
            ReadFrom::Pool(_) => Connections::default(),
        }
    }

    /// True if hand-written statements (`db/statement.rs`) run in the calling thread, without a thread hop.
    pub fn is_inline(&self) -> bool {
        matches!(self.from, ReadFrom::Sqlite(_))
    }
}

impl Rows for Read {
    async fn rows<T: Send>(&self, Bound { sql, values }: Bound, read: ReadRow<T>) -> Result<Vec<T>, DbErr> {
        match &self.from {
            ReadFrom::Sqlite(readers) => {
                text::say(DbBackend::Sqlite, sql.sqlite());
                readers.inline.query(sql.sqlite(), &values, read)
            }
            ReadFrom::Pool(_) => rows_of_postgres(self, sql.for_postgres(values), read).await,
        }
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Read {
    fn get_database_backend(&self) -> DbBackend {
        match &self.from {
            ReadFrom::Sqlite(_) => DbBackend::Sqlite,
            ReadFrom::Pool(pool) => pool.get_database_backend(),
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        text::say(self.get_database_backend(), &statement.sql);
        match &self.from {
            ReadFrom::Sqlite(readers) => readers.held.execute_raw(statement).await,
            ReadFrom::Pool(pool) => pool.execute_raw(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.from {
            ReadFrom::Sqlite(readers) => readers.held.execute_unprepared(sql).await,
            ReadFrom::Pool(pool) => pool.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        text::say(self.get_database_backend(), &statement.sql);
        match &self.from {
            ReadFrom::Sqlite(readers) => readers.held.query_one_raw(statement).await,
            ReadFrom::Pool(pool) => pool.query_one_raw(statement).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        text::say(self.get_database_backend(), &statement.sql);
        match &self.from {
            ReadFrom::Sqlite(readers) => readers.held.query_all_raw(statement).await,
            ReadFrom::Pool(pool) => pool.query_all_raw(statement).await,
        }
    }
}
