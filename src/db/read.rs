//! Reads outside units of work. On SQLite, reads use connections that stay open. On PostgreSQL, reads use the pool.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};

use super::{held::Readers, postgres::Pool, text};

/// A handle for reads outside a unit of work. These reads see only committed data.
#[derive(Clone)]
pub struct Read {
    from: ReadFrom,
}

#[derive(Clone)]
enum ReadFrom {
    Held(Arc<Readers>),
    Pool(Pool),
}

impl Read {
    pub(super) fn from_held(readers: Readers) -> Self {
        let from = ReadFrom::Held(Arc::new(readers));
        Self { from }
    }

    pub(super) fn from_pool(pool: Pool) -> Self {
        let from = ReadFrom::Pool(pool);
        Self { from }
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Read {
    fn get_database_backend(&self) -> DbBackend {
        match &self.from {
            ReadFrom::Held(_) => DbBackend::Sqlite,
            ReadFrom::Pool(pool) => pool.get_database_backend(),
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        text::say(self.get_database_backend(), &statement.sql);
        match &self.from {
            ReadFrom::Held(readers) => readers.execute_raw(statement).await,
            ReadFrom::Pool(pool) => pool.execute_raw(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.from {
            ReadFrom::Held(readers) => readers.execute_unprepared(sql).await,
            ReadFrom::Pool(pool) => pool.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        text::say(self.get_database_backend(), &statement.sql);
        match &self.from {
            ReadFrom::Held(readers) => readers.query_one_raw(statement).await,
            ReadFrom::Pool(pool) => pool.query_one_raw(statement).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        text::say(self.get_database_backend(), &statement.sql);
        match &self.from {
            ReadFrom::Held(readers) => readers.query_all_raw(statement).await,
            ReadFrom::Pool(pool) => pool.query_all_raw(statement).await,
        }
    }
}
