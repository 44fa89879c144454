//! Database access: SQLite by default, PostgreSQL if configured, with the same semantics on both.
//!
//! Reads use a pool. Every write goes through [`Db::begin`], which starts a named unit of work. On PostgreSQL, a unit
//! of work is an ordinary transaction. On SQLite, it is a savepoint in a batch, and the writer lane (`db/lane.rs`)
//! commits the whole batch at once (group commit). Code between `begin` and `commit` must not wait for a model, a
//! sandbox, the network or a file.

mod fault;
mod health;
mod held;
mod inspect;
mod lane;
mod lock;
mod postgres;
mod read;
mod schema;
mod sqlite;
mod text;

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use secrecy::ExposeSecret;
use tracing::warn;

use crate::{
    config::Config,
    error::{Error, Result},
};
pub use fault::is_duplicate;
use health::Health;
use held::Readers;
pub use inspect::{Inspected, Schema};
use lane::{Lane, Unit};
pub use read::Read;

/// Number of SQLite connections for reads.
const SQLITE_READERS: u32 = 4;
/// Maximum time that a read or a unit of work waits for a connection. On SQLite, also the maximum time that a statement
/// waits for the lock of another connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns true if a server has ever used SQLite in this folder.
pub fn is_data_folder(folder: &Path) -> bool {
    lock::path(folder).exists()
}

/// A handle to the database, cheap to clone.
#[derive(Clone)]
pub struct Db {
    read: Read,
    writer: Writer,
    health: Health,
}

#[derive(Clone)]
enum Writer {
    Lane(Lane),
    Pool(postgres::Pool),
}

impl Db {
    /// Connects to the database and applies the migrations.
    ///
    /// # Errors
    /// UNAVAILABLE; the message names the database and says what to do.
    pub async fn open(config: &Config) -> Result<Self> {
        match &config.database_url {
            Some(url) => Self::open_postgres(url.expose_secret(), config.database_connections).await,
            None => Self::open_sqlite(&config.data_dir).await,
        }
    }

    async fn open_postgres(url: &str, connections: u32) -> Result<Self> {
        let server = postgres::Server::find(url).await?;
        schema::bring_postgres_up_to_date(server.migrator()).await?;
        let pool = server.pool(connections);
        Ok(Self {
            read: Read::from_pool(pool.clone()),
            writer: Writer::Pool(pool),
            health: Health::default(),
        })
    }

    async fn open_sqlite(data_dir: &Path) -> Result<Self> {
        let lock = lock::take(data_dir).await?;
        let file = sqlite::file(data_dir)?;
        let writer = sqlite::connect(&file, sqlite::Use::Write, 1).await?;
        schema::bring_sqlite_up_to_date(&writer).await?;
        let pool = sqlite::connect(&file, sqlite::Use::Read, SQLITE_READERS).await?;
        let readers = Readers::new(pool, SQLITE_READERS as usize);
        let health = Health::default();
        Ok(Self {
            read: Read::from_held(readers),
            writer: Writer::Lane(Lane::start(writer, lock).await?),
            health,
        })
    }

    /// Returns the handle for reads outside a unit of work. Such reads see only committed data.
    pub fn read(&self) -> &Read {
        &self.read
    }

    /// Returns true if no other process can use the database, which is the case on SQLite. Leases that an earlier
    /// process left in such a database are void.
    pub fn is_private(&self) -> bool {
        matches!(self.writer, Writer::Lane(_))
    }

    /// Returns the name of the database for people: `sqlite` or `postgres`.
    pub fn name(&self) -> &'static str {
        match self.writer {
            Writer::Lane(_) => "sqlite",
            Writer::Pool(_) => "postgres",
        }
    }

    /// Begins a named unit of work. If the unit is dropped without [`Tx::commit`], it is rolled back.
    ///
    /// # Errors
    /// UNAVAILABLE if the database is unavailable.
    pub async fn begin(&self, name: &'static str) -> Result<Tx> {
        let work = match &self.writer {
            Writer::Lane(lane) => Work::Unit(lane.unit().await?),
            Writer::Pool(pool) => Work::Transaction(pool.begin().await.inspect_err(|error| self.note(error))?),
        };
        Ok(Tx {
            name,
            work,
            health: self.health.clone(),
            changed: AtomicBool::new(false),
            kept: None,
        })
    }

    /// Checks that the database can be read and written. If no recent commit proves that it can be written, the check
    /// writes one row.
    ///
    /// # Errors
    /// UNAVAILABLE if the database cannot be read or written.
    pub async fn check(&self) -> Result<()> {
        self.health.check(self).await
    }

    /// Checks that the database answers a query.
    async fn ping(&self) -> Result<()> {
        self.read
            .execute_unprepared("SELECT 1")
            .await
            .map(drop)
            .map_err(Error::from)
    }

    fn note(&self, error: &DbErr) {
        if fault::is_unavailable(error) {
            self.health.failed();
        }
    }
}

/// A unit of work in progress.
pub struct Tx {
    name: &'static str,
    work: Work,
    health: Health,
    /// True if the unit changed anything. A commit without changes does not prove that the disk can be written.
    changed: AtomicBool,
    // This field is declared after `work`, so that it is dropped after `work`.
    kept: Option<Box<dyn Send + Sync>>,
}

enum Work {
    Unit(Unit),
    Transaction(postgres::Transaction),
}

impl Tx {
    /// Holds a value, such as the guard of a queue, until the unit of work ends.
    #[must_use]
    pub fn keeping(mut self, kept: impl Send + Sync + 'static) -> Self {
        self.kept = Some(Box::new(kept));
        self
    }

    /// Makes the unit of work durable. Returns after the commit of the batch or transaction that contains the unit.
    ///
    /// # Errors
    /// CONTENDED if the database requests a retry, UNAVAILABLE if the database or its disk is unavailable, otherwise
    /// INTERNAL. The unit has been rolled back, except if the connection or the disk failed during the commit. In that
    /// case, it is unknown whether the unit was committed.
    pub async fn commit(self) -> Result<()> {
        let (name, health) = (self.name, self.health);
        let has_changed = self.changed.into_inner();
        match self.work {
            // The statements of every unit in the batch have succeeded, so only the disk can make the commit fail.
            Work::Unit(unit) => unit.commit().await.map_err(|error| {
                health.failed();
                fault::unavailable(format!("{name}: {error}"))
            })?,
            Work::Transaction(tx) => tx.commit().await.map_err(|error| {
                if fault::is_unavailable(&error) {
                    health.failed();
                }
                let error = Error::from(error);
                warn!(unit = name, %error, "a unit of work failed to commit");
                error
            })?,
        }
        if has_changed {
            health.written();
        }
        Ok(())
    }

    fn note_change(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }

    fn noting<T>(&self, outcome: Result<T, DbErr>) -> Result<T, DbErr> {
        if let Err(error) = &outcome
            && fault::is_unavailable(error)
        {
            self.health.failed();
        }
        outcome
    }

    /// Executes statements that return no rows. On SQLite, all statements together need one round trip (one thread
    /// hop).
    ///
    /// # Errors
    /// The errors of the statements. The statements before the failed statement have been executed.
    pub async fn execute_all(&self, statements: impl IntoIterator<Item = Statement>) -> Result<(), DbErr> {
        match &self.work {
            Work::Unit(unit) => match text::in_a_row(statements) {
                Some(statement) => {
                    self.noting(unit.execute_together(statement).await)?;
                    self.note_change();
                    Ok(())
                }
                None => Ok(()),
            },
            Work::Transaction(_) => {
                for statement in statements {
                    self.execute_raw(statement).await?;
                }
                Ok(())
            }
        }
    }

    /// Executes statements that return no rows, in one round trip on both databases. PostgreSQL executes them as a
    /// single statement on one snapshot. No statement may therefore read or change rows that another statement writes.
    /// A foreign key may refer to a row that another statement writes, because foreign keys are checked after all
    /// statements.
    ///
    /// # Errors
    /// The errors of the statements.
    pub async fn execute_together(&self, statements: impl IntoIterator<Item = Statement>) -> Result<(), DbErr> {
        match &self.work {
            Work::Unit(_) => self.execute_all(statements).await,
            Work::Transaction(_) => match text::as_one(statements) {
                Some(statement) => self.execute_raw(statement).await.map(drop),
                None => Ok(()),
            },
        }
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        match &self.work {
            Work::Unit(_) => DbBackend::Sqlite,
            Work::Transaction(tx) => tx.get_database_backend(),
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        text::say(self.get_database_backend(), &statement.sql);
        let outcome = match &self.work {
            Work::Unit(unit) => unit.execute_raw(statement).await,
            Work::Transaction(tx) => tx.execute_raw(statement).await,
        };
        let done = self.noting(outcome)?;
        if done.rows_affected() > 0 {
            self.note_change();
        }
        Ok(done)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let outcome = match &self.work {
            Work::Unit(unit) => unit.execute_unprepared(sql).await,
            Work::Transaction(tx) => tx.execute_unprepared(sql).await,
        };
        self.noting(outcome)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        text::say(self.get_database_backend(), &statement.sql);
        let outcome = match &self.work {
            Work::Unit(unit) => unit.query_one_raw(statement).await,
            Work::Transaction(tx) => tx.query_one_raw(statement).await,
        };
        self.noting(outcome)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        text::say(self.get_database_backend(), &statement.sql);
        let outcome = match &self.work {
            Work::Unit(unit) => unit.query_all_raw(statement).await,
            Work::Transaction(tx) => tx.query_all_raw(statement).await,
        };
        self.noting(outcome)
    }
}
