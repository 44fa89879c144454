//! Connections to SQLite that are held for good.
//!
//! A pool asks a connection whether it is alive when it comes back, which costs a change of threads as each statement does.
//! A connection to a file does not go away, so the writer's is held, and so are those that read.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    TransactionTrait,
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A held connection. SeaORM keeps one only for a transaction, so it is the handle of a transaction that is over: begins
/// and commits are the holder's own.
pub(super) type Held = DatabaseTransaction;

/// Takes a connection out of a pool.
pub(super) async fn hold(pool: &DatabaseConnection) -> Result<Held, DbErr> {
    let held = pool.begin().await?;
    held.execute_unprepared("COMMIT").await?;
    Ok(held)
}

/// The connections that read, each for one statement at a time; made when they are first needed.
pub(super) struct Readers {
    pool: DatabaseConnection,
    free: Semaphore,
    idle: Mutex<Vec<Held>>,
}

/// A connection for one statement.
struct Lent<'a> {
    readers: &'a Readers,
    held: Option<Held>,
    _permit: SemaphorePermit<'a>,
}

impl Readers {
    /// Reads over as many connections as the pool has.
    pub(super) fn new(pool: DatabaseConnection, count: usize) -> Self {
        Self {
            pool,
            free: Semaphore::new(count),
            idle: Mutex::default(),
        }
    }

    async fn lend(&self) -> Result<Lent<'_>, DbErr> {
        let permit = self.free.acquire().await;
        let permit = permit.map_err(|error| DbErr::Custom(error.to_string()))?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let held = match idle {
            Some(held) => held,
            None => hold(&self.pool).await?,
        };
        Ok(Lent {
            readers: self,
            held: Some(held),
            _permit: permit,
        })
    }
}

impl Lent<'_> {
    fn held(&self) -> Result<&Held, DbErr> {
        self.held
            .as_ref()
            .ok_or_else(|| DbErr::Custom("a reading connection is missing".to_owned()))
    }
}

impl Drop for Lent<'_> {
    // Before the permit goes, so that whoever gets it finds the connection.
    fn drop(&mut self) {
        let mut idle = self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.held.take());
    }
}

#[async_trait]
impl ConnectionTrait for Readers {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::Sqlite
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.lend().await?.held()?.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.lend().await?.held()?.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.lend().await?.held()?.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.lend().await?.held()?.query_all_raw(statement).await
    }
}
