//! Uploads: files on their way into a workspace.
//!
//! The bytes lie in the staging folder under the upload's id until a run takes them; then they are renamed into the
//! workspace. Where names come from is `uploads/name.rs`.

pub mod name;
pub mod place;
pub mod receive;
pub mod room;
pub mod table;
pub mod take;
mod waiting;
pub mod write;

use std::path::PathBuf;

use sea_orm::{
    ColumnTrait,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use crate::{
    accounts::ensure,
    app::App,
    data_folder,
    error::{Error, Result},
    limits::Plan,
};
pub use waiting::Arriving;

/// How long an upload that nothing used is kept.
pub const KEPT: std::time::Duration = std::time::Duration::from_hours(24);

/// The file of an upload that was not placed yet.
pub fn staged(app: &App, upload_id: Uuid) -> PathBuf {
    folder(app).join(upload_id.to_string())
}

/// The staging folder; on the file system of the workspaces, so that a file is placed by a rename.
pub fn folder(app: &App) -> PathBuf {
    app.config.data_dir.join(data_folder::UPLOADS)
}

/// The largest file that an account may upload, in bytes.
///
/// # Errors
/// Database errors.
pub async fn largest(app: &App, account_id: Uuid) -> Result<u64> {
    let plan = Plan {
        tier: ensure::tier(app, app.db.read(), account_id).await?,
        limits: app.config.limits,
    };
    Ok(plan.largest_upload(&app.config.http))
}

/// Whether a run took an upload whose file is not in the workspace yet. The value is written out: the partial index of
/// these uploads is used only then.
pub fn is_coming() -> Expr {
    let placed = Expr::col((table::Entity, table::Column::Placed)).eq(Expr::cust("FALSE"));
    table::Column::RunId.is_not_null().and(placed)
}

/// Runs what blocks on files away from the reactor.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("upload", error))?
}
