//! The single row of the table `installation`. Times come from the database's clock, because the clocks of hosts
//! differ.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};
use uuid::Uuid;

use super::Folder;
use crate::{
    db::{Db, Tx},
    error::{Error, Result},
};

// Locks the row, so that processes that start at the same time claim the database one after another.
const READ: &str = "SELECT i.data_folder, i.described_as, \
    COALESCE(i.seen_at < now() - INTERVAL '30 seconds', TRUE) AS is_old, \
    (SELECT s.number FROM sandboxes s ORDER BY s.number LIMIT 1) IS NOT NULL AS is_used FROM installation i WHERE i.id = 1 FOR UPDATE OF i";
pub(super) const FOLDER: &str = "SELECT data_folder AS value FROM installation WHERE id = 1";
pub(super) const DESCRIBED_AS: &str = "SELECT described_as AS value FROM installation WHERE id = 1";
const WRITE: &str = "UPDATE installation SET data_folder = $1, described_as = $2, seen_at = now() WHERE id = 1";
const SEEN: &str = "UPDATE installation SET seen_at = now() WHERE id = 1";

/// Whether the database belongs to this data folder.
pub(super) enum Claim {
    /// The database belongs to this folder. This call may have claimed it.
    Ours {
        /// True if any workspace exists.
        is_used: bool,
    },
    /// The database belongs to another folder, described by the text, but no workspace exists yet.
    Unused(String),
    /// The database belongs to another folder, described by the text, and workspaces exist.
    Used(String),
}

/// Claims the database for this folder if it belongs to no folder yet. If no workspace exists, also claims a database
/// whose folder has been unused for 30 seconds.
pub(super) async fn claim(db: &Db, folder: &Folder) -> Result<Claim> {
    let tx = db.begin("installation.claim").await?;
    let row = tx
        .query_one_raw(Statement::from_string(DbBackend::Postgres, READ))
        .await?
        .ok_or_else(|| Error::internal("the installation could not be loaded", "its row is missing"))?;
    let other: Option<Uuid> = row.try_get("", "data_folder")?;
    let (is_old, is_used): (bool, bool) = (row.try_get("", "is_old")?, row.try_get("", "is_used")?);
    let described_as: String = row.try_get("", "described_as")?;
    match other {
        // Once a workspace exists, the time of last use no longer matters.
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
