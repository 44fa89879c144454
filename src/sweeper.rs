//! The sweeper: removes what nothing uses any more. Today that is uploads which no run took within their time.

use std::time::{Duration, SystemTime};

use sea_orm::{ColumnTrait, QueryFilter, QuerySelect};
use tokio::{fs, time::interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::{
    accounts::{Scope, of},
    app::App,
    error::Result,
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
            warn!(error = %fault, "could not sweep uploads");
        }
    }
}

/// Removes uploads that are older than they may be, and staged files that have no row.
///
/// # Errors
/// Those of the database.
pub async fn sweep_once(app: &App) -> Result<()> {
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
