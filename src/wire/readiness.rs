//! Readiness: the check behind `/readyz` and `grpc.health.v1`.

use crate::app::App;

/// Checks that the database is available and the disk has free space. This process must be neither shutting down nor
/// on standby (see `installation`).
pub async fn check(app: &App) -> Result<(), &'static str> {
    if app.stopping.is_cancelled() {
        return Err("stopping");
    }
    if app.installation.check().is_err() {
        return Err("standby: the database belongs to the data folder of another server; see the server's log");
    }
    if app.disk.check(0).is_err() {
        return Err("the disk that holds the data folder is almost full");
    }
    let written = app.db.check().await;
    written.map_err(|_| "the database is unavailable")
}
