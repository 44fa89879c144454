//! SQLite connections that are never returned to their pool.
//!
//! When a connection returns to its pool, the pool checks that it is alive. This check costs a thread hop, which
//! takes as long as a statement. Connections to a file do not break, so readers keep theirs until the process ends.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    TransactionTrait,
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Connections;

/// A connection that is never returned to its pool. SeaORM lends a single connection only as a transaction, so this
/// transaction is committed at once. Each later statement on the connection is its own transaction.
type Held = DatabaseTransaction;

async fn hold(pool: &DatabaseConnection) -> Result<Held, DbErr> {
    let held = pool.begin().await?;
    held.execute_unprepared("COMMIT").await?;
    Ok(held)
}

/// Connections for reads, opened on first use. Each executes one statement at a time.
pub(super) struct Readers {
    pool: DatabaseConnection,
    free: Semaphore,
    count: usize,
    idle: Mutex<Vec<Held>>,
}

/// A connection that a statement is using.
struct Lent<'a> {
    readers: &'a Readers,
    held: Option<Held>,
    _permit: SemaphorePermit<'a>,
}

impl Readers {
    /// `count` must be the size of the pool.
    pub(super) fn new(pool: DatabaseConnection, count: usize) -> Self {
        Self {
            pool,
            free: Semaphore::new(count),
            count,
            idle: Mutex::default(),
        }
    }

    pub(super) fn connections(&self) -> Connections {
        let used = self.count - self.free.available_permits().min(self.count);
        Connections {
            used,
            idle: self.idle.lock().unwrap_or_else(PoisonError::into_inner).len(),
            max: self.count,
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
    // This runs before the permit is released, so the next reader finds the connection.
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
