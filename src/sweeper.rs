//! The sweeper: removes what nothing uses any more: uploads which no run took within their time, deleted agents whose last
//! run has ended, and what a crash left of a deleted project's files.

use std::time::{Duration, SystemTime};

use sea_orm::{ColumnTrait, QueryFilter, QuerySelect};
use tokio::{fs, time::interval};
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
/// Uploads that are removed at once.
const AT_ONCE: u64 = 500;

/// Sweeps now and then, until `stopping`.
pub async fn sweep(app: App, stopping: CancellationToken) {
    let mut ticks = interval(EVERY);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(fault) = sweep_once(&app).await {
            warn!(error = %fault, "could not sweep");
        }
    }
}

/// Sweeps everything once.
///
/// # Errors
/// Those of the database.
pub async fn sweep_once(app: &App) -> Result<()> {
    agents::delete::purge(app, AT_ONCE).await?;
    workspaces(app).await?;
    old_uploads(app).await
}

// A project's row is there before its workspace and goes before it: a workspace without a row is a leftover.
async fn workspaces(app: &App) -> Result<()> {
    let Ok(mut folders) = fs::read_dir(projects::sandbox::folder(app)).await else {
        return Ok(());
    };
    let scope = Scope::system("workspaces of deleted projects");
    while let Ok(Some(folder)) = folders.next_entry().await {
        let Some(project_id) = folder.file_name().to_str().and_then(|name| name.parse::<Uuid>().ok()) else {
            continue;
        };
        if projects::find(app.db.read(), scope, project_id).await?.is_none() {
            match projects::sandbox::discard(app, project_id).await {
                Ok(()) => info!(project = %project_id, "removed the files of a deleted project"),
                Err(fault) => {
                    warn!(error = %fault, project = %project_id, "could not remove a deleted project's files");
                }
            }
        }
    }
    Ok(())
}

// Uploads that are older than they may be, and staged files that have no row.
async fn old_uploads(app: &App) -> Result<()> {
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
    // A crash between a file and its row leaves the file.
    let Ok(mut files) = fs::read_dir(uploads::folder(app)).await else {
        return Ok(());
    };
    while let Ok(Some(file)) = files.next_entry().await {
        let modified = file.metadata().await.and_then(|facts| facts.modified());
        let age = modified
            .ok()
            .and_then(|modified| SystemTime::now().duration_since(modified).ok());
        let is_old = age.is_some_and(|age| age > uploads::KEPT);
        let Some(upload_id) = file.file_name().to_str().and_then(|name| name.parse::<Uuid>().ok()) else {
            continue;
        };
        let known = of::<Entity>(scope)
            .filter(Column::Id.eq(upload_id))
            .one(app.db.read())
            .await?
            .is_some();
        if is_old && !known {
            drop(fs::remove_file(file.path()).await);
        }
    }
    Ok(())
}
