//! The one row of the installation. The times are the database's: the clocks of several hosts differ.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};
use uuid::Uuid;

use super::Folder;
use crate::{
    db::{Db, Tx},
    error::{Error, Result},
};

// Locked until the commit, so that of several that start together one is the first.
const READ: &str = "SELECT i.data_folder, i.described_as, \
    COALESCE(i.seen_at < now() - INTERVAL '30 seconds', TRUE) AS is_old, \
    (SELECT s.number FROM sandboxes s ORDER BY s.number LIMIT 1) IS NOT NULL AS is_used FROM installation i WHERE i.id = 1 FOR UPDATE OF i";
/// The id of the folder, and its description, for a reader that changes nothing.
pub(super) const FOLDER: &str = "SELECT data_folder AS value FROM installation WHERE id = 1";
pub(super) const DESCRIBED_AS: &str = "SELECT described_as AS value FROM installation WHERE id = 1";
const WRITE: &str = "UPDATE installation SET data_folder = $1, described_as = $2, seen_at = now() WHERE id = 1";
const SEEN: &str = "UPDATE installation SET seen_at = now() WHERE id = 1";

/// Whose the database is.
pub(super) enum Claim {
    /// The files of the database lie in our folder, from now on or as before.
    Ours {
        /// Whether there are workspaces.
        is_used: bool,
    },
    /// They will lie in another folder, but there are none yet.
    Unused(String),
    /// They lie in another folder.
    Used(String),
}

/// Makes our folder the one of the database when it has none, or one that nobody has used yet or for a while.
pub(super) async fn claim(db: &Db, folder: &Folder) -> Result<Claim> {
    let tx = db.begin("installation.claim").await?;
    let row = tx
        .query_one_raw(Statement::from_string(DbBackend::Postgres, READ))
        .await?
        .ok_or_else(|| Error::internal("installation", "the row of the installation is missing"))?;
    let other: Option<Uuid> = row.try_get("", "data_folder")?;
    let (is_old, is_used): (bool, bool) = (row.try_get("", "is_old")?, row.try_get("", "is_used")?);
    let described_as: String = row.try_get("", "described_as")?;
    match other {
        // What was seen is of interest only until there are workspaces.
        Some(other) if other == folder.id && is_used => return Ok(Claim::Ours { is_used }),
        Some(other) if other == folder.id => {
            tx.execute_raw(Statement::from_string(DbBackend::Postgres, SEEN))
                .await?;
        }
        Some(_) if is_used => return Ok(Claim::Used(described_as)),
        Some(_) if !is_old => return Ok(Claim::Unused(described_as)),
        _ => write(&tx, folder).await?,
    }
    tx.commit().await?;
    Ok(Claim::Ours { is_used })
}

/// Makes a folder the one of the database.
pub(super) async fn adopt(db: &Db, folder: &Folder) -> Result<()> {
    let tx = db.begin("installation.adopt").await?;
    write(&tx, folder).await?;
    tx.commit().await
}

async fn write(tx: &Tx, folder: &Folder) -> Result<(), DbErr> {
    let values = [Value::from(folder.id), Value::from(folder.described_as.clone())];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, WRITE, values);
    tx.execute_raw(statement).await.map(drop)
}
