//! Checks whether new files fit into a workspace. The check counts the workspace's current content and the uploads that
//! will be moved into the workspace.
//!
//! Each process has one queue per project ([`crate::app::Handles::placement_queues`]). An operation that writes files
//! waits in the queue for the earlier operations, and leaves the queue only after its files are in the workspace. Two
//! operations of a process can therefore not both use the last free space. The check counts the uploads of all
//! unfinished runs of the project, including runs of other processes and runs from before a crash.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, Statement};
use uuid::Uuid;

use crate::{
    app::App,
    error::{Code, Error, Result},
    sandbox::{ProjectSandbox, Usage},
};

/// Block size of the file system in bytes, as assumed by the check.
const BLOCK: u64 = 4096;

// Finds the uploads of a project's unfinished runs. The condition `status = 1` matches a partial index. The query does
// not use the entity of `runs`, because `runs` depends on this module.
const COMING: &str = "SELECT u.id, u.size, u.placed, u.placed_as FROM runs r JOIN uploads u ON u.run_id = r.id \
    WHERE r.account_id = $1 AND r.project_id = $2 AND r.status = 1";

/// An upload of an unfinished run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coming {
    pub id: Uuid,
    /// Size of the upload in bytes.
    pub size: i64,
    /// True if the upload's file was moved into the workspace, or if the file was removed (see `name`).
    pub placed: bool,
    /// Name in the workspace. `None` if the upload belongs to a retried `StartRun` request: the run already has a file
    /// with the same content, so the upload's file was removed.
    pub name: Option<String>,
}

/// Lists the uploads of a project's unfinished runs.
///
/// # Errors
/// Database errors.
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

/// The size of a workspace, and the uploads that are included in this size.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    pub usage: Usage,
    /// Uploads that were in the workspace before the measurement.
    placed: BTreeSet<Uuid>,
}

impl Measured {
    /// Measures a workspace, and records the uploads that were already in it.
    ///
    /// # Errors
    /// Database and file system errors.
    pub async fn of(app: &App, account_id: Uuid, project_id: Uuid, sandbox: &ProjectSandbox) -> Result<Self> {
        // Read the uploads before measuring. An upload that is placed during the measurement may then be counted twice,
        // but is never missed.
        let coming = coming(app.db.read(), account_id, project_id).await?;
        let workspace = sandbox.workspace().clone();
        let usage = app.walks.run(account_id, move || workspace.usage()).await?;
        let placed = coming.into_iter().filter(|upload| upload.placed);
        Ok(Self {
            usage,
            placed: placed.map(|upload| upload.id).collect(),
        })
    }

    /// Returns the uploads in `coming` that were not in the workspace before the measurement.
    pub fn missing<'a>(&self, coming: &'a [Coming]) -> impl Iterator<Item = &'a Coming> {
        coming.iter().filter(|upload| !self.placed.contains(&upload.id))
    }

    /// Checks that the missing uploads and the new files fit into the workspace. `sizes` contains the size of each new
    /// file in bytes.
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

// Returns the disk usage of a file: its size, rounded up to whole blocks.
fn on_disk(size: i64) -> u64 {
    let size = size.unsigned_abs();
    size.checked_next_multiple_of(BLOCK).unwrap_or(size)
}
