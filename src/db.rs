//! Database access: SQLite by default, PostgreSQL if configured, with the same semantics on both.
//!
//! Reads use a pool. Every write belongs to a named unit of work ([`Db::write`] or [`Db::begin`]). A unit of work
//! must not wait for a model, a sandbox, the network or a file. On PostgreSQL, each unit is a transaction. On SQLite,
//! one thread (`db/lane.rs`) executes all units and commits several of them together (group commit).

pub mod backup;
mod direct;
mod each;
mod fault;
mod health;
mod held;
mod inline;
mod inspect;
mod lane;
mod lock;
mod postgres;
mod queued;
mod read;
mod schema;
mod sqlite;
mod statement;
mod text;
mod tx;

use std::{path::Path, time::Duration};

use futures::future::BoxFuture;
use sea_orm::{ConnectionTrait, DbErr};
use secrecy::ExposeSecret;

use crate::{
    config::Config,
    error::{Error, Result},
};
pub use each::ForEach;
pub use fault::is_duplicate;
use health::Health;
use held::Readers;
use inline::InlineReaders;
pub use inspect::{Inspected, Schema};
use lane::Lane;
pub use read::Read;
pub use statement::{Bound, ById, Cell, ReadRow, Row, Rows, Sql, padded};
pub(crate) use statement::{by_id, locking};
pub use tx::Tx;
use tx::Work;

const SQLITE_READERS: u32 = 4;
/// Maximum wait for a connection. On SQLite, also the maximum wait of a statement for the lock of another connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// True if a server has ever used SQLite in this folder.
pub fn is_data_folder(folder: &Path) -> bool {
    lock::path(folder).exists()
}

/// Numbers of database connections, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    pub used: usize,
    pub idle: usize,
    pub max: usize,
}

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
        // SQLite refuses the switch to WAL mode if two connections make it at the same time. Only the migrator is
        // open until the switch is complete.
        let migrating = sqlite::migrator(&file).await?;
        schema::bring_sqlite_up_to_date(&migrating).await?;
        let writer = sqlite::writer(&file).await?;
        migrating.close().await?;
        let pool = sqlite::readers(&file, SQLITE_READERS).await?;
        let readers = Readers::new(pool, SQLITE_READERS as usize);
        Ok(Self {
            read: Read::from_sqlite(readers, InlineReaders::new(file)),
            writer: Writer::Lane(Lane::start(writer, lock)?),
            health: Health::default(),
        })
    }

    /// The handle for reads outside a unit of work. Such reads see only committed data.
    pub fn read(&self) -> &Read {
        &self.read
    }

    /// True if no other process can use the database, as on SQLite. When the process starts, all leases in such a
    /// database are left over from earlier processes.
    pub fn is_private(&self) -> bool {
        matches!(self.writer, Writer::Lane(_))
    }

    /// Counts the connections of the pool; on SQLite, those for reads.
    pub fn connections(&self) -> Connections {
        match &self.writer {
            Writer::Lane(_) => self.read.connections(),
            Writer::Pool(pool) => pool.connections(),
        }
    }

    /// The name of the database system for log lines.
    pub fn name(&self) -> &'static str {
        match self.writer {
            Writer::Lane(_) => "sqlite",
            Writer::Pool(_) => "postgres",
        }
    }

    /// Begins a named unit of work. If the unit is dropped without [`Tx::commit`], it is rolled back.
    pub async fn begin(&self, name: &'static str) -> Result<Tx> {
        let work = match &self.writer {
            Writer::Lane(lane) => {
                let lent = lane.lend().await?;
                Work::Unit(lent.inspect_err(|error| self.note(error))?)
            }
            Writer::Pool(pool) => Work::Transaction(pool.begin().await.inspect_err(|error| self.note(error))?),
        };
        Ok(Tx::new(name, work, self.health.clone()))
    }

    /// Runs a named unit of work and commits it, or rolls it back if it fails.
    ///
    /// On SQLite, the unit may run again if another unit of its batch fails. A unit must therefore change nothing
    /// outside the database, and must await only SQL.
    pub async fn write<T, F>(&self, name: &'static str, unit: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> Fn(&'a Tx) -> BoxFuture<'a, Result<T>> + Send + 'static,
    {
        let lane = match &self.writer {
            Writer::Lane(lane) => lane,
            Writer::Pool(_) => {
                let tx = self.begin(name).await?;
                let done = queued::caught(name, unit(&tx)).await?;
                tx.commit().await?;
                return Ok(done);
            }
        };
        queued::run(lane, name, unit, self.health.clone()).await
    }

    /// Checks that the database can be read and written. Writes a row, unless a recent commit proves that writes
    /// succeed.
    ///
    /// # Errors
    /// UNAVAILABLE if the database cannot be read or written.
    pub async fn check(&self) -> Result<()> {
        self.health.check(self).await
    }

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
