//! Copies the SQLite database while a server uses it.

use std::{fs::File, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use crate::{
    data_folder,
    error::{Code, Error, Result},
};

/// Maximum wait for the lock of another connection.
const BUSY: Duration = Duration::from_secs(30);

/// Writes a consistent copy of the database in a data folder to a new file, and checks the copy.
///
/// # Errors
/// UNAVAILABLE with SQLite's reason.
pub fn copy_sqlite(data_dir: &Path, to: &Path) -> Result<()> {
    let database = data_dir.join(data_folder::DATABASE);
    let failed = |error: rusqlite::Error| {
        let message = format!("cannot copy the database {}: {error}", database.display());
        Error::new(Code::Unavailable, message)
    };
    let source = Connection::open_with_flags(&database, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    source.busy_timeout(BUSY).map_err(failed)?;
    source
        .execute("VACUUM INTO ?1", [to.to_string_lossy()])
        .map_err(failed)?;
    let copy = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    let verdict: String = copy
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .map_err(failed)?;
    if verdict != "ok" {
        let message = format!("the copy of the database {} is damaged: {verdict}", database.display());
        return Err(Error::new(Code::Unavailable, message));
    }
    let synced = File::open(to).and_then(|file| file.sync_all());
    synced.map_err(|error| Error::new(Code::Unavailable, format!("cannot write {}: {error}", to.display())))
}
