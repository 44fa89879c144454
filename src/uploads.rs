//! Uploads: files that clients send for use in a workspace.
//!
//! A file waits in the staging folder under the upload's id. A rename moves it into the workspace of a run
//! (`uploads/take.rs`), or to a path that a caller chooses (`uploads/write.rs`).

mod contents;
mod expire;
pub mod name;
pub mod place;
pub mod receive;
pub mod room;
mod table;
pub mod take;
mod waiting;
pub mod write;

use std::path::PathBuf;

use sea_orm::{
    ColumnTrait, ConnectionTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use crate::{
    accounts::{Scope, ensure, of},
    app::App,
    blocking, data_folder,
    error::{Error, Result},
    limits::Plan,
};
pub use expire::{discard_expired, known};
pub use table::Model as Upload;
use table::{Column, Entity};
pub use waiting::Arriving;

/// Time for which an unused upload is kept.
pub const KEPT: std::time::Duration = std::time::Duration::from_hours(24);

pub fn staged(app: &App, upload_id: Uuid) -> PathBuf {
    folder(app).join(upload_id.to_string())
}

/// The staging folder is on the file system of the workspaces, so that a rename can move a file into a workspace.
pub fn folder(app: &App) -> PathBuf {
    app.config.data_dir.join(data_folder::UPLOADS)
}

/// Returns the maximum size of an account's upload in bytes.
pub async fn largest(app: &App, account_id: Uuid) -> Result<u64> {
    let plan = Plan {
        tier: ensure::tier(app, app.db.read(), account_id).await?,
        limits: app.config.limits,
    };
    Ok(plan.largest_upload(&app.config.http))
}

/// Lists the ids of uploads that are bound to a run and not yet in the workspace. `of_run` gets the run-id column and
/// returns a condition on it.
pub async fn unplaced(db: &impl ConnectionTrait, scope: Scope, of_run: impl FnOnce(Expr) -> Expr) -> Result<Vec<Uuid>> {
    // `FALSE` is a literal, because a database does not use a partial index for a bound parameter.
    let placed = Expr::col((Entity, Column::Placed)).eq(Expr::cust("FALSE"));
    Ok(of::<Entity>(scope)
        .select_only()
        .column(Column::Id)
        .filter(Column::RunId.is_not_null().and(placed))
        .filter(of_run(Expr::col((Entity, Column::RunId))))
        .into_tuple()
        .all(db)
        .await?)
}

async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T>
where
    T: Send + 'static,
    E: Into<Error> + Send + 'static,
{
    blocking::run("the files of uploads could not be accessed", work).await
}
