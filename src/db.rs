//! Database access: SQLite by default, PostgreSQL if configured, with the same semantics on both.
//!
//! Reads use a pool. Every write is a named unit of work ([`Db::write`] or [`Db::begin`]). On PostgreSQL, a unit of work
//! is an ordinary transaction. On SQLite, it is a part of a batch, and the writer's thread (`db/lane.rs`) commits the
//! whole batch at once (group commit). A unit of work must not wait for a model, a sandbox, the network or a file.
//! Frequent units use [`Db::write`], which costs fewer thread switches on SQLite, and the hand-written statements of
//! `db/statement.rs`.

mod direct;
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
mod statement;
mod text;

use std::{
    panic::AssertUnwindSafe,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, Value};
use secrecy::ExposeSecret;
use uuid::Uuid;
use tokio::{runtime::Handle, sync::oneshot};
use tracing::{error, warn};

use crate::{
    config::Config,
    error::{Error, Result},
};
pub use fault::is_duplicate;
use health::Health;
use held::Readers;
pub use inspect::{Inspected, Schema};
use lane::{Job, Lane, Outcome, Unit};
pub use read::Read;
pub use statement::{Bound, ById, Cell, ReadRow, Row, Sql};
pub(crate) use statement::{by_id, locking};

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
        let pool = sqlite::readers(&file, SQLITE_READERS).await?;
        schema::bring_sqlite_up_to_date(&pool).await?;
        let writer = sqlite::writer(&file).await?;
        let readers = Readers::new(pool, SQLITE_READERS as usize);
        Ok(Self {
            read: Read::from_held(readers),
            writer: Writer::Lane(Lane::start(writer, lock)?),
            health: Health::default(),
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
            Writer::Lane(lane) => Work::Unit(lane.lend().await?),
            Writer::Pool(pool) => Work::Transaction(pool.begin().await.inspect_err(|error| self.note(error))?),
        };
        Ok(Tx::new(name, work, self.health.clone()))
    }

    /// Runs a named unit of work and commits it. Returns after the commit, or rolls back if the unit fails.
    ///
    /// The unit may run more than once: on SQLite, it runs again if another unit of its batch fails. Only the last result
    /// counts, so the unit must not change anything outside the database. It must not await anything but SQL.
    ///
    /// # Errors
    /// The errors of the unit and of [`Tx::commit`].
    pub async fn write<T, F>(&self, name: &'static str, unit: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> Fn(&'a Tx) -> BoxFuture<'a, Result<T>> + Send + 'static,
    {
        let lane = match &self.writer {
            Writer::Lane(lane) => lane,
            Writer::Pool(_) => {
                let tx = self.begin(name).await?;
                let done = unit(&tx).await?;
                tx.commit().await?;
                return Ok(done);
            }
        };
        let (done, outcome) = oneshot::channel();
        let queued = QueuedUnit {
            name,
            unit,
            health: self.health.clone(),
            result: None,
            has_changed: false,
            done,
        };
        lane.run(Box::new(queued)).await?;
        outcome.await.unwrap_or_else(|_| Err(lane::stopped()))
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

/// A unit of work that waits for the writer's thread, and its result after it has run.
struct QueuedUnit<T, F> {
    name: &'static str,
    unit: F,
    health: Health,
    result: Option<Result<T>>,
    has_changed: bool,
    done: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for QueuedUnit<T, F>
where
    T: Send,
    F: for<'a> Fn(&'a Tx) -> BoxFuture<'a, Result<T>> + Send,
{
    fn run(&mut self, unit: Unit, runtime: &Handle) -> (Unit, bool) {
        // The result of an earlier attempt may hold resources that this attempt needs.
        self.result = None;
        let tx = Tx::new(self.name, Work::Unit(unit), self.health.clone());
        let work = AssertUnwindSafe((self.unit)(&tx)).catch_unwind();
        let result = runtime.block_on(work).unwrap_or_else(|_| {
            error!(unit = self.name, "a unit of work panicked");
            Err(Error::internal(
                "the request failed because of an internal error; see the server's log",
                "a unit of work panicked",
            ))
        });
        let succeeded = result.is_ok();
        self.result = Some(result);
        self.has_changed = tx.changed.into_inner();
        match tx.work {
            Work::Unit(unit) => (unit, succeeded),
            Work::Transaction(_) => unreachable!("the unit of work was created above"),
        }
    }

    fn finish(self: Box<Self>, outcome: &Outcome) {
        let result = match (self.result, outcome) {
            (Some(Ok(result)), Ok(())) => {
                if self.has_changed {
                    self.health.written();
                }
                Ok(result)
            }
            (Some(Ok(_)), Err(fault)) => Err(commit_failed(self.name, &self.health, fault)),
            (Some(Err(error)), _) => Err(error),
            (None, _) => Err(lane::stopped()),
        };
        // The caller may have been cancelled.
        drop(self.done.send(result));
    }
}

// The statements of every unit of the batch have succeeded, so only the disk can make the commit fail.
fn commit_failed(name: &str, health: &Health, fault: &str) -> Error {
    health.failed();
    fault::unavailable(format!("{name}: {fault}"))
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
    fn new(name: &'static str, work: Work, health: Health) -> Self {
        Self {
            name,
            work,
            health,
            changed: AtomicBool::new(false),
            kept: None,
        }
    }

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
            Work::Unit(unit) => {
                let outcome = unit.commit().await;
                outcome.map_err(|fault| commit_failed(name, &health, &fault))?;
            }
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

    /// Executes a hand-written statement and returns the number of changed rows.
    ///
    /// # Errors
    /// The error of the statement.
    pub async fn change(&self, Bound { sql, values }: Bound) -> Result<u64, DbErr> {
        let changed = match &self.work {
            Work::Unit(unit) => self.noting(unit_execute(unit, sql.sqlite(), &values).await)?,
            Work::Transaction(_) => self.execute_raw(sql.for_postgres(values)).await?.rows_affected(),
        };
        if changed > 0 {
            self.note_change();
        }
        Ok(changed)
    }

    /// Executes a hand-written query and reads each row with `read`.
    ///
    /// # Errors
    /// The error of the query, or the first error of `read`.
    pub async fn rows<T: Send>(
        &self,
        Bound { sql, values }: Bound,
        read: ReadRow<T>,
    ) -> Result<Vec<T>, DbErr> {
        match &self.work {
            Work::Unit(unit) => {
                text::say(DbBackend::Sqlite, sql.sqlite());
                self.noting(unit.query(sql.sqlite(), &values, read).await)
            }
            Work::Transaction(_) => {
                let rows = self.query_all_raw(sql.for_postgres(values)).await?;
                rows.iter().map(|row| read(&mut Row::of_postgres(row))).collect()
            }
        }
    }

    /// Executes a hand-written query and reads its first row with `read`; `None` if there is no row.
    ///
    /// # Errors
    /// The errors of [`Tx::rows`].
    pub async fn row<T: Send>(
        &self,
        query: Bound,
        read: ReadRow<T>,
    ) -> Result<Option<T>, DbErr> {
        Ok(self.rows(query, read).await?.into_iter().next())
    }

    /// Executes a query by id for each id. On PostgreSQL, one statement finds many rows, in the order of the query.
    ///
    /// # Errors
    /// The errors of [`Tx::rows`].
    pub async fn rows_by_id<T: Send>(
        &self,
        query: ById,
        ids: &[Uuid],
        read: ReadRow<T>,
    ) -> Result<Vec<T>, DbErr> {
        let mut found = Vec::with_capacity(ids.len());
        match &self.work {
            Work::Unit(unit) => {
                for id in ids {
                    text::say(DbBackend::Sqlite, query.one);
                    found.extend(self.noting(unit.query(query.one, &[(*id).into()], read).await)?);
                }
            }
            Work::Transaction(_) => {
                for statement in query.for_postgres(ids) {
                    for row in self.query_all_raw(statement).await? {
                        found.push(read(&mut Row::of_postgres(&row))?);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Executes changes one after another.
    ///
    /// # Errors
    /// The error of the first change that fails. The changes before it have been executed.
    pub async fn change_all(&self, changes: Vec<Bound>) -> Result<(), DbErr> {
        for change in changes {
            self.change(change).await?;
        }
        Ok(())
    }

    /// Executes changes. PostgreSQL executes them in one round trip, as a single statement on one snapshot. No change
    /// may therefore read or change rows that another change writes. A foreign key may refer to a row that another
    /// change writes, because foreign keys are checked after all changes.
    ///
    /// # Errors
    /// The errors of the changes.
    pub async fn change_together(&self, changes: Vec<Bound>) -> Result<(), DbErr> {
        match &self.work {
            Work::Unit(_) => self.change_all(changes).await,
            Work::Transaction(_) => {
                let statements = changes.into_iter().map(|change| change.sql.for_postgres(change.values));
                match text::as_one(statements) {
                    Some(statement) => self.execute_raw(statement).await.map(drop),
                    None => Ok(()),
                }
            }
        }
    }
}

async fn unit_execute(unit: &Unit, sql: &str, values: &[Value]) -> Result<u64, DbErr> {
    text::say(DbBackend::Sqlite, sql);
    unit.execute(sql, values).await
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
