//! Moves a complete upload to a path in a workspace. The move is atomic and replaces an existing file.

use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use uuid::Uuid;

use super::{
    blocking, name,
    receive::{load, not_found},
    room::{Measured, coming},
    staged,
    table::{Column, Entity, Model},
};
use crate::{
    accounts::Caller,
    app::App,
    error::{Code, Error, Result},
    projects,
    sandbox::{self, Entry},
};

/// Moves an upload to a path and creates missing parent folders. After success, the upload cannot be used again.
///
/// # Errors
/// `SANDBOX_NOT_FOUND`, `UPLOAD_NOT_FOUND`, `UPLOAD_INCOMPLETE`; INVALID_REQUEST for an invalid path; `TOO_LARGE` if
/// the workspace would exceed its limit. If the move fails, the upload is restored.
pub async fn write(app: &App, caller: &Caller, sandbox_id: Uuid, path: &str, upload_id: Uuid) -> Result<Entry> {
    let path = name::path(path)?;
    let sandbox = projects::sandbox::load(app.db.read(), caller.scope(), sandbox_id).await?;
    let upload = load(app.db.read(), caller.scope(), upload_id).await?;
    if upload.run_id.is_some() {
        return Err(not_found());
    }
    if !upload.is_complete() {
        let message = format!(
            "the upload is incomplete: received {} of {} bytes; send the rest first",
            upload.received, upload.size
        );
        return Err(Error::new(Code::UploadIncomplete, message));
    }
    app.disk.check(0)?;
    let _turn = app.placement_queues.take(sandbox.project_id).await?;
    let opened = projects::sandbox::open(app, &sandbox).await?;
    let measured = Measured::of(app, caller.account_id, sandbox.project_id, &opened).await?;
    let coming = coming(app.db.read(), caller.account_id, sandbox.project_id).await?;
    measured.check(app, &coming, [upload.size])?;
    let workspace = opened.workspace().clone();
    // Delete the row first, so that concurrent requests do not find the upload.
    take(app, &upload).await?;
    let staged = staged(app, upload_id);
    let placed = blocking(move || {
        workspace.place_at(&staged, &path)?;
        let metadata = workspace.metadata(&path)?;
        let entry = Entry {
            path,
            is_dir: false,
            size: metadata.size,
            modified: metadata.modified,
        };
        Ok::<_, sandbox::Error>(entry)
    });
    let placed = placed.await;
    app.walks.changed(sandbox.project_id).await;
    if placed.is_err() {
        give_back(app, upload).await;
    }
    placed
}

async fn take(app: &App, upload: &Model) -> Result<()> {
    let tx = app.db.begin("uploads.write").await?;
    let taken = Entity::delete_many()
        .filter(Column::AccountId.eq(upload.account_id))
        .filter(Column::Id.eq(upload.id))
        .filter(Column::RunId.is_null())
        .exec(&tx)
        .await?;
    if taken.rows_affected != 1 {
        return Err(not_found());
    }
    tx.commit().await
}

// Restores the row of an upload. If this fails, the sweeper (`background/sweeper.rs`) removes the file.
async fn give_back(app: &App, upload: Model) {
    let upload_id = upload.id;
    let back = async {
        let tx = app.db.begin("uploads.give_back").await?;
        Entity::insert(upload.into_active_model())
            .exec_without_returning(&tx)
            .await?;
        tx.commit().await
    };
    if let Err(fault) = back.await {
        tracing::warn!(error = %fault, %upload_id, "could not restore an upload; the sweeper will remove its file");
    }
}
