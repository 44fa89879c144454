//! The connections to PostgreSQL, and their transactions.
//!
//! Behind a pooler in transaction mode, such as PgBouncer, each transaction may use a different server connection.
//! `BEGIN` and the settings are therefore sent together, and prepared statements have no names. sqlx parses and
//! executes a prepared statement in two steps, which must use the same server connection. Even a single prepared
//! statement therefore runs in a transaction.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, sea_query::Values};
use sea_query_sqlx::SqlxValues;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, pool::PoolConnection, query::Query};
use tokio::sync::Mutex;

use super::{Route, SETTINGS};
use crate::db::{Connections, fault::of_statement};

#[derive(Clone)]
pub(in crate::db) struct Pool {
    connections: PgPool,
    route: Route,
    begin: Arc<str>,
}

/// A transaction. If the value is dropped without [`Transaction::commit`], it is rolled back.
pub(in crate::db) struct Transaction {
    open: Mutex<sqlx::Transaction<'static, Postgres>>,
    route: Route,
}

/// The SQL that begins a transaction. It is sent as one message, which takes one round trip.
pub(super) fn begin(route: Route) -> Arc<str> {
    match route {
        Route::Direct => "BEGIN".into(),
        Route::Pooler => {
            let settings = SETTINGS.map(|(name, value)| format!("SET LOCAL {name} = '{value}'"));
            format!("BEGIN; {}", settings.join("; ")).into()
        }
    }
}

impl Pool {
    pub(super) fn new(connections: PgPool, route: Route) -> Self {
        Self {
            connections,
            route,
            begin: begin(route),
        }
    }

    /// Behind a pooler, the settings are set for this transaction only.
    pub(in crate::db) async fn begin(&self) -> Result<Transaction, DbErr> {
        let begin = AssertSqlSafe(Arc::clone(&self.begin));
        let open = self.connections.begin_with(begin).await.map_err(lost)?;
        Ok(Transaction {
            open: Mutex::new(open),
            route: self.route,
        })
    }

    pub(in crate::db) fn connections(&self) -> Connections {
        let (open, idle) = (self.connections.size(), self.connections.num_idle());
        Connections {
            used: usize::try_from(open).unwrap_or(usize::MAX).saturating_sub(idle),
            idle,
            max: usize::try_from(self.connections.options().get_max_connections()).unwrap_or(usize::MAX),
        }
    }

    async fn acquire(&self) -> Result<PoolConnection<Postgres>, DbErr> {
        self.connections.acquire().await.map_err(lost)
    }
}

impl Transaction {
    pub(in crate::db) async fn commit(self) -> Result<(), DbErr> {
        self.open.into_inner().commit().await.map_err(of_statement)
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Pool {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        if self.route == Route::Direct {
            return self.route.execute(&mut *self.acquire().await?, statement).await;
        }
        let tx = self.begin().await?;
        let done = tx.execute_raw(statement).await?;
        tx.commit().await?;
        Ok(done)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        execute_unprepared(&mut *self.acquire().await?, sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        if self.route == Route::Direct {
            return self.route.query_one(&mut *self.acquire().await?, statement).await;
        }
        let tx = self.begin().await?;
        let row = tx.query_one_raw(statement).await?;
        tx.commit().await?;
        Ok(row)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        if self.route == Route::Direct {
            return self.route.query_all(&mut *self.acquire().await?, statement).await;
        }
        let tx = self.begin().await?;
        let rows = tx.query_all_raw(statement).await?;
        tx.commit().await?;
        Ok(rows)
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Postgres
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.route.execute(&mut **self.open.lock().await, statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        execute_unprepared(&mut **self.open.lock().await, sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.route.query_one(&mut **self.open.lock().await, statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.route.query_all(&mut **self.open.lock().await, statement).await
    }
}

impl Route {
    fn query(self, statement: Statement) -> Query<'static, Postgres, SqlxValues> {
        let values = statement.values.unwrap_or_else(|| Values(Vec::new()));
        sqlx::query_with(AssertSqlSafe(statement.sql), SqlxValues(values)).persistent(self == Self::Direct)
    }

    async fn execute(self, connection: &mut PgConnection, statement: Statement) -> Result<ExecResult, DbErr> {
        let done = self.query(statement).execute(connection).await;
        done.map(ExecResult::from).map_err(of_statement)
    }

    async fn query_one(
        self,
        connection: &mut PgConnection,
        statement: Statement,
    ) -> Result<Option<QueryResult>, DbErr> {
        let row = self.query(statement).fetch_optional(connection).await;
        row.map(|row| row.map(QueryResult::from)).map_err(of_statement)
    }

    async fn query_all(self, connection: &mut PgConnection, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let rows = self.query(statement).fetch_all(connection).await;
        Ok(rows.map_err(of_statement)?.into_iter().map(QueryResult::from).collect())
    }
}

async fn execute_unprepared(connection: &mut PgConnection, sql: &str) -> Result<ExecResult, DbErr> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await;
    done.map(ExecResult::from).map_err(of_statement)
}

/// Converts the error of a connection that could not be opened or was lost.
fn lost(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}
