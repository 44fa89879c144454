//! Binds uploads to a run and chooses the names of their files.

use std::collections::BTreeSet;

use bytes::Bytes;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::{
    name,
    receive::not_found,
    staged,
    table::{Column, Entity, Model},
};
use crate::{
    accounts::{Scope, of},
    app::App,
    db::Tx,
    error::{Code, Error, Result},
};

/// Maximum number of files per `StartRun` request.
pub const MAX_FILES: usize = 100;

/// Loads the uploads that a `StartRun` request names, in the order of the request.
///
/// # Errors
/// INVALID_REQUEST for too many or repeated uploads; `UPLOAD_NOT_FOUND`; `UPLOAD_INCOMPLETE` if bytes are missing. An
/// upload that a run already uses is no error here, but [`bind`] refuses it.
pub async fn load(db: &impl ConnectionTrait, scope: Scope, upload_ids: &[Uuid]) -> Result<Vec<Model>> {
    if upload_ids.is_empty() {
        return Ok(Vec::new());
    }
    let distinct: BTreeSet<_> = upload_ids.iter().collect();
    if distinct.len() != upload_ids.len() || upload_ids.len() > MAX_FILES {
        return Err(Error::invalid_field(
            "files",
            format!("files must list at most {MAX_FILES} uploads, each once"),
        ));
    }
    let rows = of::<Entity>(scope)
        .filter(Column::Id.is_in(upload_ids.iter().copied()))
        .all(db)
        .await?;
    let mut ordered = Vec::with_capacity(rows.len());
    for upload_id in upload_ids {
        let row = rows.iter().find(|row| row.id == *upload_id).ok_or_else(not_found)?;
        if !row.is_complete() {
            let message = format!(
                "the upload {upload_id} is incomplete: received {} of {} bytes; send the rest first",
                row.received, row.size
            );
            return Err(Error::new(Code::UploadIncomplete, message));
        }
        ordered.push(row.clone());
    }
    Ok(ordered)
}

/// Binds uploads to a run, gives each file a name that is not in `taken`, and returns the names.
///
/// # Errors
/// `UPLOAD_NOT_FOUND` if a run already uses an upload.
pub async fn bind(tx: &Tx, uploads: &[Model], run_id: Uuid, mut taken: BTreeSet<String>) -> Result<Vec<String>> {
    let mut names = Vec::with_capacity(uploads.len());
    for upload in uploads {
        let name = name::free(&name::sanitise(&upload.name), |name| taken.contains(name));
        taken.insert(name.clone());
        let bound = Entity::update_many()
            .col_expr(Column::RunId, Expr::value(run_id))
            .col_expr(Column::PlacedAs, Expr::value(name.clone()))
            .filter(Column::AccountId.eq(upload.account_id))
            .filter(Column::Id.eq(upload.id))
            .filter(Column::RunId.is_null())
            .exec(tx)
            .await?;
        if bound.rows_affected != 1 {
            return Err(not_found());
        }
        names.push(name);
    }
    Ok(names)
}

/// Binds the uploads of a retried `StartRun` request to the run of the first request. The run already has the same
/// content, so the files of the retry are removed. The rows are kept, so that further retries succeed.
pub async fn give_copies(app: &App, uploads: &[Model], run_id: Uuid) -> Result<()> {
    let free: Vec<Uuid> = uploads
        .iter()
        .filter(|upload| upload.run_id.is_none())
        .map(|upload| upload.id)
        .collect();
    if free.is_empty() {
        return Ok(());
    }
    let tx = app.db.begin("uploads.give_copies").await?;
    let mut given = Vec::with_capacity(free.len());
    for upload_id in free {
        let bound = Entity::update_many()
            .col_expr(Column::RunId, Expr::value(run_id))
            .col_expr(Column::Placed, Expr::value(true))
            .filter(Column::Id.eq(upload_id))
            .filter(Column::RunId.is_null())
            .exec(&tx)
            .await?;
        // Another request may have bound the upload since `uploads` was loaded. The file then belongs to that
        // request's run.
        if bound.rows_affected == 1 {
            given.push(upload_id);
        }
    }
    tx.commit().await?;
    for upload_id in given {
        drop(tokio::fs::remove_file(staged(app, upload_id)).await);
    }
    Ok(())
}

/// Reads the content of an upload that no run uses.
///
/// # Errors
/// `UPLOAD_NOT_FOUND`; `UPLOAD_INCOMPLETE`; `TOO_LARGE` if the upload has more than `most` bytes.
pub async fn content(app: &App, scope: Scope, upload_id: Uuid, most: usize) -> Result<Bytes> {
    let mut rows = load(app.db.read(), scope, &[upload_id]).await?;
    let row = rows.pop().filter(|row| row.run_id.is_none()).ok_or_else(not_found)?;
    if row.size.unsigned_abs() > most as u64 {
        return Err(Error::new(
            Code::TooLarge,
            format!("the file may have up to {most} bytes"),
        ));
    }
    match tokio::fs::read(staged(app, row.id)).await {
        Ok(content) => Ok(content.into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(not_found()),
        Err(error) => Err(Error::internal("the upload could not be read", error)),
    }
}
