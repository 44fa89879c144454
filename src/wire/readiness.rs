//! Readiness: whether the server can take work now. `/readyz` and `grpc.health.v1` answer with it.

use crate::app::App;

/// Checks everything that a start needs: the database, the disk, and that this process may work.
///
/// # Errors
/// Why not, in one line.
pub async fn check(app: &App) -> Result<(), &'static str> {
    if app.stopping.is_cancelled() {
        return Err("stopping");
    }
    if app.installation.check().is_err() {
        return Err("standing by: the files of the database lie in the data folder of another server");
    }
    if app.disk.check(0).is_err() {
        return Err("the disk of the data folder is almost full");
    }
    let written = app.db.check().await;
    written.map_err(|_| "the database cannot be read or written")
}
