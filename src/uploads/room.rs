//! Checks whether new files fit into a workspace, together with its current content and the uploads on the way to it.
//!
//! The check counts the uploads of all unfinished runs, including runs of other processes. In each process, an
//! operation that writes files stays in the project's queue ([`crate::app::Handles::placement_queues`]) until the
//! files are in the workspace. Two operations can therefore not both use the last free space.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, Statement};
use uuid::Uuid;

use crate::{
    app::App,
    error::{Code, Error, Result},
    sandbox::{ProjectSandbox, Usage},
};

/// Assumed block size of the file system in bytes.
const BLOCK: u64 = 4096;

// The condition `status = 1` matches a partial index. The statement is plain SQL, because `runs` depends on this
// module, so this module cannot use the entity of `runs`.
const COMING: &str = "SELECT u.id, u.size, u.placed, u.placed_as FROM runs r JOIN uploads u ON u.run_id = r.id \
    WHERE r.account_id = $1 AND r.project_id = $2 AND r.status = 1";

/// An upload of an unfinished run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coming {
    pub id: Uuid,
    /// In bytes.
    pub size: i64,
    /// True if the upload's file is in the workspace or was removed.
    pub placed: bool,
    /// Name in the workspace. `None` for an upload of a retried `StartRun` request: its file was removed, because the
    /// run already has the same content.
    pub name: Option<String>,
}

pub async fn coming(db: &impl ConnectionTrait, account_id: Uuid, project_id: Uuid) -> Result<Vec<Coming>> {
    let values = [account_id.into(), project_id.into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), COMING, values);
    let rows = db.query_all_raw(statement).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Coming {
                id: row.try_get("", "id")?,
                size: row.try_get("", "size")?,
                placed: row.try_get("", "placed")?,
                name: row.try_get("", "placed_as")?,
            })
        })
        .collect()
}

/// The size of a workspace, and the uploads that this size includes.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    pub usage: Usage,
    /// Uploads that were in the workspace before the measurement.
    placed: BTreeSet<Uuid>,
}

impl Measured {
    pub async fn of(app: &App, account_id: Uuid, project_id: Uuid, sandbox: &ProjectSandbox) -> Result<Self> {
        // Read the uploads before measuring. An upload placed during the measurement may be counted twice, but is
        // never missed.
        let coming = coming(app.db.read(), account_id, project_id).await?;
        let workspace = sandbox.workspace().clone();
        let usage = app.walks.run(account_id, move || workspace.usage()).await?;
        let placed = coming.into_iter().filter(|upload| upload.placed);
        Ok(Self {
            usage,
            placed: placed.map(|upload| upload.id).collect(),
        })
    }

    /// Returns the uploads that the measured size does not include.
    pub fn missing<'a>(&self, coming: &'a [Coming]) -> impl Iterator<Item = &'a Coming> {
        coming.iter().filter(|upload| !self.placed.contains(&upload.id))
    }

    /// Checks that the new files fit, together with the uploads that the measured size does not include. `sizes`
    /// contains the size of each new file in bytes.
    ///
    /// # Errors
    /// `TOO_LARGE` if the workspace would exceed its limit.
    pub fn check(&self, app: &App, coming: &[Coming], sizes: impl IntoIterator<Item = i64>) -> Result<()> {
        let config = &app.config.sandbox;
        let mut full = self.usage;
        for size in self.missing(coming).map(|upload| upload.size).chain(sizes) {
            full.bytes = full.bytes.saturating_add(on_disk(size));
            full.files = full.files.saturating_add(1);
        }
        if full.bytes <= config.max_workspace_bytes && full.files <= config.max_workspace_files {
            return Ok(());
        }
        let message = format!(
            "the files do not fit into the workspace, which holds {} of {} bytes and {} of {} files; delete files, or use another project",
            self.usage.bytes, config.max_workspace_bytes, self.usage.files, config.max_workspace_files,
        );
        Err(Error::new(Code::TooLarge, message))
    }
}

// Returns the size of a file, rounded up to whole blocks.
fn on_disk(size: i64) -> u64 {
    let size = size.unsigned_abs();
    size.checked_next_multiple_of(BLOCK).unwrap_or(size)
}
