//! Placing the uploads of a run in its workspace: a rename each. Called by the start before it answers, and by the worker
//! before the first step, which finishes what a crash left.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::{
    staged,
    table::{Column, Entity, Model},
};
use crate::{
    accounts::{Scope, of},
    app::App,
    error::{Error, Result},
    sandbox::Sandbox,
};

/// The uploads of a run that are not in the workspace yet.
///
/// # Errors
/// Those of the database.
pub async fn waiting(app: &App, scope: Scope, run_id: Uuid) -> Result<Vec<Model>> {
    let query = of::<Entity>(scope)
        .filter(Column::RunId.eq(run_id))
        .filter(Column::Placed.eq(false));
    Ok(query.all(app.db.read()).await?)
}

/// Renames uploads into the workspace and notes that they are there. Doing it again changes nothing.
///
/// # Errors
/// Those of the file system and of the database.
pub async fn place(app: &App, sandbox: &Sandbox, uploads: Vec<Model>) -> Result<()> {
    if uploads.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = uploads.iter().map(|upload| upload.id).collect();
    let files: Vec<_> = uploads
        .into_iter()
        .filter_map(|upload| upload.placed_as.map(|name| (staged(app, upload.id), name)))
        .collect();
    let workspace = sandbox.workspace().clone();
    let renamed =
        tokio::task::spawn_blocking(move || files.iter().try_for_each(|(file, name)| workspace.place_as(file, name)));
    renamed.await.map_err(|error| Error::internal("upload", error))??;
    let tx = app.db.begin("uploads.placed").await?;
    Entity::update_many()
        .col_expr(Column::Placed, Expr::value(true))
        .filter(Column::Id.is_in(ids))
        .exec(&tx)
        .await?;
    tx.commit().await
}
