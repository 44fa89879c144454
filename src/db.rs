//! The database: SQLite by default, PostgreSQL when told; one set of rules for both.
//!
//! Reading uses a pool. Writing always goes through [`Db::begin`], a named unit of work: on PostgreSQL an ordinary
//! transaction, on SQLite a savepoint in a batch that the writer lane (`db/lane.rs`) commits once for all who wait.
//! Nothing awaits a model, a sandbox, the network or a file between `begin` and `commit`.

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

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    TransactionTrait,
};
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

/// Connections that read at the same time, on SQLite.
const SQLITE_READERS: u32 = 4;
/// How long a unit of work waits for a connection before it is refused.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether a server has used SQLite in a folder.
pub fn is_data_folder(folder: &Path) -> bool {
    lock::path(folder).exists()
}

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Db {
    read: Read,
    writer: Writer,
    health: Health,
}

#[derive(Clone)]
enum Writer {
    Lane(Lane),
    Pool(DatabaseConnection),
}

impl Db {
    /// Connects and applies the migrations.
    ///
    /// # Errors
    /// UNAVAILABLE, saying which database and what to do.
    pub async fn open(config: &Config) -> Result<Self> {
        match &config.database_url {
            Some(url) => Self::open_postgres(url.expose_secret()).await,
            None => Self::open_sqlite(&config.data_dir).await,
        }
    }

    async fn open_postgres(url: &str) -> Result<Self> {
        let pool = postgres::connect(url).await?;
        schema::bring_up_to_date(&pool).await?;
        Ok(Self {
            read: Read::from_pool(pool.clone()),
            writer: Writer::Pool(pool),
            health: Health::default(),
        })
    }

    async fn open_sqlite(data_dir: &Path) -> Result<Self> {
        let lock = lock::take(data_dir).await?;
        let file = sqlite::file(data_dir)?;
        let writer = sqlite::connect(&file, 1).await?;
        schema::bring_up_to_date(&writer).await?;
        let pool = sqlite::connect(&file, SQLITE_READERS).await?;
        let readers = Readers::new(pool, SQLITE_READERS as usize);
        let health = Health::default();
        Ok(Self {
            read: Read::from_held(readers),
            writer: Writer::Lane(Lane::start(writer, lock).await?),
            health,
        })
    }

    /// For reading outside a unit of work: sees what is committed.
    pub fn read(&self) -> &Read {
        &self.read
    }

    /// Whether only this process can use the database, so that leases of an earlier process are void.
    pub fn is_private(&self) -> bool {
        matches!(self.writer, Writer::Lane(_))
    }

    /// The database's name for people: `sqlite` or `postgres`.
    pub fn name(&self) -> &'static str {
        match self.writer {
            Writer::Lane(_) => "sqlite",
            Writer::Pool(_) => "postgres",
        }
    }

    /// Begins a named unit of work. Dropped without [`Tx::commit`] it leaves no trace.
    ///
    /// # Errors
    /// UNAVAILABLE, when the database is.
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

    /// Whether the database can be read and written now; writes a little when no recent commit shows it.
    ///
    /// # Errors
    /// UNAVAILABLE when it cannot.
    pub async fn check(&self) -> Result<()> {
        self.health.check(self).await
    }

    /// Whether the database answers.
    async fn ping(&self) -> Result<()> {
        self.read
            .execute_unprepared("SELECT 1")
            .await
            .map(drop)
            .map_err(Error::from)
    }

    fn note(&self, error: &DbErr) {
        if fault::is_away(error) {
            self.health.failed();
        }
    }
}

/// A unit of work in progress.
pub struct Tx {
    name: &'static str,
    work: Work,
    health: Health,
    /// Whether anything was changed: a commit of nothing shows nothing about the disk.
    changed: AtomicBool,
    // Behind the work, so that it is let go when the work is over.
    kept: Option<Box<dyn Send + Sync>>,
}

enum Work {
    Unit(Unit),
    Transaction(DatabaseTransaction),
}

impl Tx {
    /// Keeps something until the unit is over.
    #[must_use]
    pub fn keeping(mut self, kept: impl Send + Sync + 'static) -> Self {
        self.kept = Some(Box::new(kept));
        self
    }

    /// Makes the unit durable; returns after the commit that holds it.
    ///
    /// # Errors
    /// CONTENDED when the database asks to try again, UNAVAILABLE when it or its disk is away, else INTERNAL. The unit has left
    /// no trace then, except that a connection or a disk lost in mid-commit leaves it unknown.
    pub async fn commit(self) -> Result<()> {
        let (name, health) = (self.name, self.health);
        let has_changed = self.changed.into_inner();
        match self.work {
            // The units of a batch were accepted one by one: what stops its commit is the disk.
            Work::Unit(unit) => unit.commit().await.map_err(|error| {
                health.failed();
                fault::away(format!("{name}: {error}"))
            })?,
            Work::Transaction(tx) => tx.commit().await.map_err(|error| {
                if fault::is_away(&error) {
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
            && fault::is_away(error)
        {
            self.health.failed();
        }
        outcome
    }

    /// Executes statements that need no answer; in one round trip on SQLite, where a round trip is a change of threads.
    ///
    /// # Errors
    /// As every statement; those before the failing one have been executed.
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

    /// As [`Tx::execute_all`], in one round trip on both databases. PostgreSQL executes the statements at once: none may read
    /// or change what another one writes, except that foreign keys are checked after all of them.
    ///
    /// # Errors
    /// As every statement.
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
