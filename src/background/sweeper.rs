//! The sweeper removes unused data: expired uploads, files without an upload row, deleted agents whose last run has
//! ended, workspaces of deleted projects, unpacked files of deleted skills, old deliveries of webhooks, old
//! occurrences of schedules and, if the operator configures it, threads that have not changed for a long time.

use std::time::{Duration, SystemTime};

use tokio::{
    fs::{self, DirEntry, ReadDir},
    time::sleep,
};
use tracing::{info, warn};
use uuid::Uuid;

use crate::{accounts::Scope, agents, app::App, error::Result, projects, runs, schedules, skills, uploads, webhooks};

const EVERY: Duration = Duration::from_mins(10);
/// Pause after the first failed sweep. Each further failure adds this pause again, up to [`EVERY`].
const AGAIN: Duration = Duration::from_secs(2);
/// Minimum age of a file without an upload row before its removal. The server may still be receiving a younger file.
const ON_ITS_WAY: Duration = Duration::from_hours(1);
const AT_ONCE: usize = 500;

/// Sweeps every [`EVERY`], or sooner after a failed sweep, until the app is stopping.
pub async fn sweep(app: App) {
    let began = SystemTime::now();
    let mut failures = 0;
    loop {
        let pause = match sweep_once(&app, began).await {
            Ok(()) => {
                failures = 0;
                EVERY
            }
            Err(fault) => {
                warn!(error = %fault, "could not remove all unused rows and files; the sweeper will retry");
                failures += 1;
                AGAIN.saturating_mul(failures).min(EVERY)
            }
        };
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = sleep(pause) => {}
        }
    }
}

/// Removes each kind of unused data once. If one kind fails, the other kinds are still removed. `began` is the start
/// time of this process.
///
/// # Errors
/// The first error, from the database or from removing a workspace.
pub async fn sweep_once(app: &App, began: SystemTime) -> Result<()> {
    let agents = agents::delete::purge(app, AT_ONCE as u64).await.map(drop);
    let workspaces = workspaces(app).await;
    let uploads = old_uploads(app, began).await;
    let skills = old_skills(app).await;
    let deliveries = webhooks::purge(app).await;
    let occurrences = schedules::purge(app).await;
    let threads = runs::retention::purge(app).await;
    let files = workspaces.and(uploads).and(skills);
    agents.and(files).and(deliveries).and(occurrences).and(threads)
}

// Removes workspaces without a project row. A project's row is created before its workspace, so such a workspace
// belongs to a deleted project.
async fn workspaces(app: &App) -> Result<()> {
    let Ok(mut folders) = fs::read_dir(projects::sandbox::folder(app)).await else {
        return Ok(());
    };
    let scope = Scope::system("workspaces of deleted projects");
    let mut failed = Ok(());
    loop {
        let some = next_named(&mut folders).await;
        let known = projects::list::known(app.db.read(), scope, ids(&some)).await?;
        for (project_id, _) in some.iter().filter(|(project_id, _)| !known.contains(project_id)) {
            match projects::sandbox::discard(app, *project_id).await {
                Ok(()) => info!(%project_id, "removed the files of a deleted project"),
                Err(fault) => failed = Err(fault),
            }
        }
        if some.is_empty() {
            return failed;
        }
    }
}

/// Reads up to [`AT_ONCE`] entries whose names are ids. An empty list means the end of the folder or a read error.
async fn next_named(folder: &mut ReadDir) -> Vec<(Uuid, DirEntry)> {
    let mut some = Vec::new();
    while some.len() < AT_ONCE
        && let Ok(Some(entry)) = folder.next_entry().await
    {
        let id = entry.file_name().to_str().and_then(|name| name.parse::<Uuid>().ok());
        some.extend(id.map(|id| (id, entry)));
    }
    some
}

fn ids(entries: &[(Uuid, DirEntry)]) -> impl ExactSizeIterator<Item = Uuid> {
    entries.iter().map(|(id, _)| *id)
}

async fn old_uploads(app: &App, began: SystemTime) -> Result<()> {
    let expired = uploads::discard_expired(app, AT_ONCE as u64).await?;
    if expired > 0 {
        info!(uploads = expired, "removed uploads that no run used");
    }
    // A crash during an upload leaves a file without a row. A file older than `ON_ITS_WAY` is such a leftover. On
    // SQLite, only this process receives files, so a file older than this process is a leftover too.
    let Ok(mut files) = fs::read_dir(uploads::folder(app)).await else {
        return Ok(());
    };
    loop {
        let some = next_named(&mut files).await;
        if some.is_empty() {
            return Ok(());
        }
        // Check the ages before the rows: a file that is old enough has its row already, or will never get a row.
        let mut left = Vec::new();
        for (upload_id, file) in some {
            let modified = file.metadata().await.and_then(|metadata| metadata.modified());
            let is_left = modified.is_ok_and(|modified| {
                let age = SystemTime::now().duration_since(modified).unwrap_or_default();
                age > ON_ITS_WAY || app.db.is_private() && modified < began
            });
            left.extend(is_left.then_some((upload_id, file)));
        }
        let scope = Scope::system("staged files without an upload");
        let known = uploads::known(app.db.read(), scope, ids(&left)).await?;
        for (_, file) in left.iter().filter(|(upload_id, _)| !known.contains(upload_id)) {
            drop(fs::remove_file(file.path()).await);
        }
    }
}

// Removes unpacked folders without a skill version. Keeps folders younger than `ON_ITS_WAY`, because a run may still
// be unpacking them.
async fn old_skills(app: &App) -> Result<()> {
    let Ok(mut folders) = fs::read_dir(skills::folder::folder(app)).await else {
        return Ok(());
    };
    loop {
        let mut some = next_named(&mut folders).await;
        if some.is_empty() {
            return Ok(());
        }
        let scope = Scope::system("unpacked skills without a version");
        let known = skills::list::known(app.db.read(), scope, ids(&some)).await?;
        some.retain(|(version_id, _)| !known.contains(version_id));
        for (_, folder) in some {
            let modified = folder.metadata().await.and_then(|metadata| metadata.modified());
            let age = modified.map(|modified| SystemTime::now().duration_since(modified).unwrap_or_default());
            if age.is_ok_and(|age| age > ON_ITS_WAY) {
                drop(fs::remove_dir_all(folder.path()).await);
            }
        }
    }
}
