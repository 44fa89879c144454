//! The sweeper: removes what nothing uses any more: uploads which no run took within their time, deleted agents whose last
//! run has ended, and what a crash left of a deleted project's files.

use std::time::{Duration, SystemTime};

use sea_orm::{ColumnTrait, QueryFilter, QuerySelect};
use tokio::{fs, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::{
    accounts::{Scope, of},
    agents,
    app::App,
    error::Result,
    projects,
    uploads::{
        self,
        table::{Column, Entity},
    },
};

/// How often it looks.
const EVERY: Duration = Duration::from_mins(10);
/// How soon it looks again when something failed: a database that was away for a moment should not cost ten minutes.
const AGAIN: Duration = Duration::from_secs(2);
/// How long a staged file without a row may be somebody's who is still sending it.
const ON_ITS_WAY: Duration = Duration::from_hours(1);
/// Uploads that are removed at once.
const AT_ONCE: u64 = 500;

/// Sweeps now and then, until `stopping`.
pub async fn sweep(app: App, stopping: CancellationToken) {
    let began = SystemTime::now();
    let mut failures = 0;
    loop {
        let pause = match sweep_once(&app, began).await {
            Ok(()) => {
                failures = 0;
                EVERY
            }
            Err(fault) => {
                warn!(error = %fault, "could not sweep");
                failures += 1;
                AGAIN.saturating_mul(failures).min(EVERY)
            }
        };
        tokio::select! {
            () = stopping.cancelled() => return,
            () = sleep(pause) => {}
        }
    }
}

/// Sweeps everything once: what fails does not keep the rest from being swept. `began` is when this process did.
///
/// # Errors
/// The first one: those of the database, and of the file system for a workspace that cannot be removed.
pub async fn sweep_once(app: &App, began: SystemTime) -> Result<()> {
    let agents = agents::delete::purge(app, AT_ONCE).await.map(drop);
    let workspaces = workspaces(app).await;
    let uploads = old_uploads(app, began).await;
    agents.and(workspaces).and(uploads)
}

// A project's row is there before its workspace and goes before it: a workspace without a row is a leftover.
async fn workspaces(app: &App) -> Result<()> {
    let Ok(mut folders) = fs::read_dir(projects::sandbox::folder(app)).await else {
        return Ok(());
    };
    let scope = Scope::system("workspaces of deleted projects");
    let mut failed = Ok(());
    while let Ok(Some(folder)) = folders.next_entry().await {
        let Some(project_id) = folder.file_name().to_str().and_then(|name| name.parse::<Uuid>().ok()) else {
            continue;
        };
        if projects::find(app.db.read(), scope, project_id).await?.is_some() {
            continue;
        }
        match projects::sandbox::discard(app, project_id).await {
            Ok(()) => info!(project = %project_id, "removed the files of a deleted project"),
            Err(fault) => failed = Err(fault),
        }
    }
    failed
}

// Uploads that are older than they may be, and staged files that have no row.
async fn old_uploads(app: &App, began: SystemTime) -> Result<()> {
    let old = app.clock.now() - uploads::KEPT;
    let scope = Scope::system("uploads that nothing took");
    let forgotten: Vec<Uuid> = of::<Entity>(scope)
        .select_only()
        .column(Column::Id)
        .filter(Column::RunId.is_null())
        .filter(Column::CreatedAt.lt(old))
        .limit(AT_ONCE)
        .into_tuple()
        .all(app.db.read())
        .await?;
    if !forgotten.is_empty() {
        uploads::receive::discard(app, scope, &forgotten).await?;
        info!(uploads = forgotten.len(), "removed uploads that nothing took");
    }
    // A crash in the middle of a file leaves it without a row. Where nobody else uses the folder, what is older than this
    // process is such a file.
    let Ok(mut files) = fs::read_dir(uploads::folder(app)).await else {
        return Ok(());
    };
    while let Ok(Some(file)) = files.next_entry().await {
        let modified = file.metadata().await.and_then(|facts| facts.modified());
        let is_left = modified.is_ok_and(|modified| {
            let age = SystemTime::now().duration_since(modified).unwrap_or_default();
            age > ON_ITS_WAY || app.db.is_private() && modified < began
        });
        let Some(upload_id) = file.file_name().to_str().and_then(|name| name.parse::<Uuid>().ok()) else {
            continue;
        };
        let known = of::<Entity>(scope)
            .filter(Column::Id.eq(upload_id))
            .one(app.db.read())
            .await?
            .is_some();
        if is_left && !known {
            drop(fs::remove_file(file.path()).await);
        }
    }
    Ok(())
}
