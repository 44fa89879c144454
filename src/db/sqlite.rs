//! Opens the SQLite database in the data folder.

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};

use super::ACQUIRE_TIMEOUT;
use crate::{
    data_folder,
    error::{Code, Error, Result},
};

/// Size of the write-ahead log at which a commit starts a checkpoint, in pages.
const WAL_PAGES: &str = "4000";
/// Size to which the log is truncated after a checkpoint, in bytes. It is slightly larger than [`WAL_PAGES`] pages.
const WAL_BYTES: &str = "16777216";

/// The purpose of a connection.
#[derive(Clone, Copy)]
pub(super) enum Use {
    /// Writes, one unit of work at a time.
    Write,
    Read,
}

impl Use {
    /// The page cache of one connection, as a value of the pragma `cache_size`: a negative number of KiB.
    ///
    /// A reader has a small cache, because it can read a missing page from the cache of the operating system, which all
    /// connections share. The writer has SQLite's default cache. With a smaller cache, SQLite would write changed pages
    /// to the log before the commit.
    fn cache(self) -> &'static str {
        match self {
            Self::Write => "-2000",
            Self::Read => "-512",
        }
    }
}

/// Creates the database file if it is missing, and returns its path. Only the server's user can read this file and the
/// files that SQLite creates next to it, regardless of the umask.
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

/// Opens connections to the database.
///
/// # Errors
/// UNAVAILABLE; the message names the file and says what to do.
pub(super) async fn connect(file: &Path, purpose: Use, connections: u32) -> Result<DatabaseConnection> {
    let url = format!("sqlite://{}?mode=rwc", file.display());
    let mut options = ConnectOptions::new(url);
    options
        .min_connections(1)
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A connection to a file does not break, so connections are neither tested nor replaced.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |options| {
            options
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(ACQUIRE_TIMEOUT)
                .statement_cache_capacity(256)
                // A smaller buffer would interrupt the query for a page of events after every few rows.
                .row_buffer_size(512)
                .pragma("cache_size", purpose.cache())
                .pragma("wal_autocheckpoint", WAL_PAGES)
                // The log grows during a long read. After the read, the next write truncates the log to this size.
                .pragma("journal_size_limit", WAL_BYTES)
        });
    Database::connect(options)
        .await
        .map_err(|error| unusable(file).caused_by(error))
}

/// Opens a read-only connection. A database that is not in use is opened as immutable, because SQLite would otherwise
/// create log files next to it.
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
