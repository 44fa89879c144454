//! Whether files fit into a workspace: what it holds, what is on its way into it, and what is to be added.
//!
//! Who places files in a project takes turns in this process ([`crate::app::Handles::placing`]), from measuring until the
//! files lie in the workspace, so that two cannot both take the last room. The rows of uploads tell what other processes and
//! starts before a crash have promised.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, Statement};
use uuid::Uuid;

use crate::{
    app::App,
    error::{Code, Error, Result},
    sandbox::{Sandbox, Usage},
};

/// The unit in which disks are filled, in bytes.
const BLOCK: u64 = 4096;

// The uploads of a project's unfinished runs: few, and found by the partial index of unfinished runs (`status = 1`).
const COMING: &str = "SELECT u.id, u.size, u.placed, u.placed_as FROM runs r JOIN uploads u ON u.run_id = r.id \
    WHERE r.account_id = $1 AND r.project_id = $2 AND r.status = 1";

/// An upload that an unfinished run has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coming {
    /// The upload.
    pub id: Uuid,
    /// Its size in bytes.
    pub size: i64,
    /// Whether it lies in the workspace.
    pub placed: bool,
    /// Its name in the workspace.
    pub name: Option<String>,
}

/// The uploads that unfinished runs of a project have taken.
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

/// A workspace as it was measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// What it held.
    pub usage: Usage,
    /// The uploads that were in it by then.
    placed: BTreeSet<Uuid>,
}

impl Measured {
    /// Measures a workspace.
    ///
    /// # Errors
    /// Those of the database and of the file system.
    pub async fn of(app: &App, account_id: Uuid, project_id: Uuid, sandbox: &Sandbox) -> Result<Self> {
        // Read first: an upload that is placed in between is counted twice, never left out.
        let coming = coming(app.db.read(), account_id, project_id).await?;
        let workspace = sandbox.workspace().clone();
        let usage = app.walks.run(account_id, move || workspace.usage()).await?;
        let placed = coming.into_iter().filter(|upload| upload.placed);
        Ok(Self {
            usage,
            placed: placed.map(|upload| upload.id).collect(),
        })
    }

    /// Those of the uploads that were not in the workspace when it was measured.
    pub fn missing<'a>(&self, coming: &'a [Coming]) -> impl Iterator<Item = &'a Coming> {
        coming.iter().filter(|upload| !self.placed.contains(&upload.id))
    }

    /// Refuses files that do not fit beside what the workspace holds and what is on its way into it.
    ///
    /// # Errors
    /// `TOO_LARGE` when the workspace would grow over its limit.
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

// What a file takes of a disk, as the usage counts it.
fn on_disk(size: i64) -> u64 {
    let size = size.unsigned_abs();
    size.checked_next_multiple_of(BLOCK).unwrap_or(size)
}
