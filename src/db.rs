//! The database: SQLite by default, PostgreSQL when told; one set of rules for both.
//!
//! Reading uses a pool. Writing always goes through [`Db::begin`], a named unit of work: on PostgreSQL an ordinary
//! transaction, on SQLite a savepoint in a batch that the writer lane (`db/lane.rs`) commits once for all who wait.
//! Nothing awaits a model, a sandbox, the network or a file between `begin` and `commit`.

mod held;
mod lane;
mod lock;
mod read;
mod text;

use std::{path::Path, time::Duration};

use runyard_migrations::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    QueryResult, SqlErr, Statement, TransactionTrait,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};
use secrecy::ExposeSecret;
use tracing::warn;

use crate::{
    config::Config,
    error::{Code, Error, Result},
};
use held::Readers;
use lane::{Lane, Unit};
pub use read::Read;

/// Pages in SQLite's write-ahead log after which a commit moves them into the database.
const WAL_PAGES: &str = "4000";
/// Size in bytes to which the log shrinks once its pages are moved; a little more than [`WAL_PAGES`] take.
const WAL_BYTES: &str = "16777216";
/// Connections that read at the same time, on SQLite.
const SQLITE_READERS: u32 = 4;
/// Connections to PostgreSQL.
const POSTGRES_CONNECTIONS: u32 = 16;
/// How long a unit of work waits for a connection before it is refused.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// The settings of every connection to PostgreSQL. The first two say how long a statement waits for a lock, and how long a
/// transaction may stand still, so that a process which hangs keeps its locks no longer than that. The others make a plan
/// that holds for every value and however much is stored: each list is read in the order of an index until its limit. A
/// bitmap, or a scan that was planned while a table was small, reads everything first.
const POSTGRES_SETTINGS: [(&str, &str); 5] = [
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_bitmapscan", "off"),
    ("enable_seqscan", "off"),
];

/// Whether a server has used SQLite in a folder.
pub fn is_data_folder(folder: &Path) -> bool {
    lock::path(folder).exists()
}

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Db {
    read: Read,
    writer: Writer,
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
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(Error::invalid(
                "the database URL must start with postgres:// (leave it out to use SQLite in the data folder)",
            ));
        }
        let mut options = ConnectOptions::new(url.to_owned());
        options
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .map_sqlx_postgres_opts(|options| options.options(POSTGRES_SETTINGS))
            .sqlx_logging(false);
        let pool = Database::connect(options).await.map_err(|error| {
            Error::new(
                Code::Unavailable,
                "cannot reach PostgreSQL; check RUNYARD_DATABASE_URL and that the server runs",
            )
            .caused_by(error)
        })?;
        Migrator::up(&pool, None).await.map_err(migration_failed)?;
        Ok(Self {
            read: Read::from_pool(pool.clone()),
            writer: Writer::Pool(pool),
        })
    }

    async fn open_sqlite(data_dir: &Path) -> Result<Self> {
        let lock = lock::take(data_dir).await?;
        let file = data_dir.join("runyard.db");
        let writer = connect_sqlite(&file, 1).await?;
        Migrator::up(&writer, None).await.map_err(migration_failed)?;
        let pool = connect_sqlite(&file, SQLITE_READERS).await?;
        let readers = Readers::new(pool, SQLITE_READERS as usize);
        Ok(Self {
            read: Read::from_held(readers),
            writer: Writer::Lane(Lane::start(writer, lock).await?),
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
            Writer::Pool(pool) => Work::Transaction(pool.begin().await.map_err(Error::from)?),
        };
        let kept = None;
        Ok(Tx { name, work, kept })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        self.read
            .execute_unprepared("SELECT 1")
            .await
            .map(drop)
            .map_err(Error::from)
    }
}

/// Applies the migrations and returns.
///
/// # Errors
/// As [`Db::open`].
pub async fn migrate(config: &Config) -> Result<()> {
    Db::open(config).await.map(drop)
}

/// A unit of work in progress.
pub struct Tx {
    name: &'static str,
    work: Work,
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
    /// CONTENDED when the database asks to try again, else INTERNAL. The unit has left no trace then, except that a
    /// connection lost in mid-commit leaves it unknown.
    pub async fn commit(self) -> Result<()> {
        let name = self.name;
        match self.work {
            Work::Unit(unit) => unit
                .commit()
                .await
                .map_err(|error| Error::internal("the database could not commit", format!("{name}: {error}"))),
            Work::Transaction(tx) => tx.commit().await.map_err(|error| {
                let error = Error::from(error);
                warn!(unit = name, %error, "a unit of work failed to commit");
                error
            }),
        }
    }

    /// Executes statements that need no answer; in one round trip on SQLite, where a round trip is a change of threads.
    ///
    /// # Errors
    /// As every statement; those before the failing one have been executed.
    pub async fn execute_all(&self, statements: impl IntoIterator<Item = Statement>) -> Result<(), DbErr> {
        match &self.work {
            Work::Unit(unit) => match text::in_a_row(statements) {
                Some(statement) => unit.execute_together(statement).await,
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
        match &self.work {
            Work::Unit(unit) => unit.execute_raw(statement).await,
            Work::Transaction(tx) => tx.execute_raw(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.work {
            Work::Unit(unit) => unit.execute_unprepared(sql).await,
            Work::Transaction(tx) => tx.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        text::say(self.get_database_backend(), &statement.sql);
        match &self.work {
            Work::Unit(unit) => unit.query_one_raw(statement).await,
            Work::Transaction(tx) => tx.query_one_raw(statement).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        text::say(self.get_database_backend(), &statement.sql);
        match &self.work {
            Work::Unit(unit) => unit.query_all_raw(statement).await,
            Work::Transaction(tx) => tx.query_all_raw(statement).await,
        }
    }
}

/// Whether an error says that a unique key exists already.
pub fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// What PostgreSQL says of a race that was lost (SQLSTATE 40P01, 40001, 55P03).
const LOST_RACES: [&str; 3] = ["deadlock detected", "could not serialize", "due to lock timeout"];

// A broken connection is UNAVAILABLE, a lost race CONTENDED, the rest our fault.
impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        let text = error.to_string();
        match error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => {
                Self::new(Code::Unavailable, "the database is not available").caused_by(text)
            }
            _ if LOST_RACES.iter().any(|lost| text.contains(lost)) => {
                Self::new(Code::Contended, "somebody else was faster; try again").caused_by(text)
            }
            _ => Self::internal("the database refused", text),
        }
    }
}

async fn connect_sqlite(file: &Path, connections: u32) -> Result<DatabaseConnection> {
    let url = format!("sqlite://{}?mode=rwc", file.display());
    let mut options = ConnectOptions::new(url);
    options
        .min_connections(1)
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A connection to a file does not go stale.
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|options| {
            options
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(ACQUIRE_TIMEOUT)
                .statement_cache_capacity(256)
                // A page of events must not wait for its reader row by row.
                .row_buffer_size(512)
                .pragma("wal_autocheckpoint", WAL_PAGES)
                // A long reader keeps the log growing. After it, the next write cuts the file back to this size.
                .pragma("journal_size_limit", WAL_BYTES)
        });
    Database::connect(options).await.map_err(|error| {
        Error::new(
            Code::Unavailable,
            format!(
                "cannot open the database {}; check that the data folder is writable",
                file.display()
            ),
        )
        .caused_by(error)
    })
}

fn migration_failed(error: DbErr) -> Error {
    Error::new(Code::Unavailable, "the database schema could not be brought up to date").caused_by(error)
}
