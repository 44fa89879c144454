//! Opens the SQLite database in the data folder.

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};
use sqlx::{
    ConnectOptions as _, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{ACQUIRE_TIMEOUT, direct::Direct, lane::Writer};
use crate::{
    data_folder,
    error::{Code, Error, Result},
};

/// Size of the write-ahead log, in pages, at which a commit starts a checkpoint.
const WAL_PAGES: &str = "4000";
/// Size in bytes to which the log is truncated after a checkpoint: slightly more than [`WAL_PAGES`] pages.
const WAL_BYTES: &str = "16777216";

/// Page cache of a connection for reads, as a negative number of KiB. A small cache suffices, because the operating
/// system caches the pages for all connections.
const READER_CACHE: &str = "-512";
/// Page cache of the connection for writes: SQLite's default. With a smaller cache, SQLite would write more changed
/// pages to the log before the commit.
const WRITER_CACHE: &str = "-2000";

/// Creates the database file if it is missing. Whatever the umask is, only the service's user can read this file and
/// the files that SQLite creates beside it.
///
/// # Errors
/// UNAVAILABLE if the file cannot be created.
pub(super) fn file(data_dir: &Path) -> Result<PathBuf> {
    let file = data_dir.join(data_folder::DATABASE);
    let created = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&file);
    created.map(drop).map_err(|error| unusable(&file).caused_by(error))?;
    Ok(file)
}

/// Opens the connection for migrations. Its commits do not wait for the disk: after a power failure, the next start
/// repeats the lost migrations.
///
/// # Errors
/// UNAVAILABLE; the message names the file and says what to do.
pub(super) async fn migrator(file: &Path) -> Result<DatabaseConnection> {
    open(file, 1, SqliteSynchronous::Normal).await
}

/// Opens the connections for reads.
pub(super) async fn readers(file: &Path, connections: u32) -> Result<DatabaseConnection> {
    open(file, connections, SqliteSynchronous::Full).await
}

async fn open(file: &Path, connections: u32, synchronous: SqliteSynchronous) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", file.display()));
    options
        .min_connections(1)
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A connection to a file does not break, so the pool need not test or replace it.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |options| settings(options, READER_CACHE).synchronous(synchronous));
    Database::connect(options)
        .await
        .map_err(|error| unusable(file).caused_by(error))
}

/// Opens the connection for writes.
pub(super) async fn writer(file: &Path) -> Result<Writer> {
    let failed = |error: &dyn std::error::Error| unusable(file).caused_by(error.to_string());
    let options = SqliteConnectOptions::new().filename(file).disable_statement_logging();
    let connection = SqliteConnection::connect_with(&settings(options, WRITER_CACHE)).await;
    let connection = connection.map_err(|error| failed(&error))?;
    Writer::new(connection).await.map_err(|error| failed(&error))
}

/// Opens a connection for short reads in the calling thread.
pub(super) fn inline_reader(file: &Path) -> Result<Direct, DbErr> {
    let settings = [("cache_size", READER_CACHE), ("temp_store", "MEMORY")];
    Direct::reader(file, ACQUIRE_TIMEOUT, &settings)
}

fn settings(options: SqliteConnectOptions, cache: &'static str) -> SqliteConnectOptions {
    options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(ACQUIRE_TIMEOUT)
        .statement_cache_capacity(256)
        // With a smaller buffer, the query for a page of events would pause after every few rows.
        .row_buffer_size(512)
        .pragma("cache_size", cache)
        // Keeps temporary data, such as that of savepoints and sorts, in memory instead of in files.
        .pragma("temp_store", "MEMORY")
        .pragma("wal_autocheckpoint", WAL_PAGES)
        // The log grows during a long read. After the read, the next write truncates the log to this size.
        .pragma("journal_size_limit", WAL_BYTES)
}

/// Opens a read-only connection. If the database is not in use, it is opened as immutable, so that SQLite creates no
/// files beside it.
///
/// # Errors
/// UNAVAILABLE; the message names the file.
pub(super) async fn inspect(file: &Path) -> Result<DatabaseConnection> {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    let is_in_use = Path::new(&log).exists();
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=ro", file.display()));
    options
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |options| options.immutable(!is_in_use));
    Database::connect(options)
        .await
        .map_err(|error| unusable(file).caused_by(error))
}

fn unusable(file: &Path) -> Error {
    let message = format!(
        "cannot open the database {}; check that the data folder is writable and that its disk has free space",
        file.display()
    );
    Error::new(Code::Unavailable, message)
}
