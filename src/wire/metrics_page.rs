//! The text of `/metrics`. Values that change too often to be counted, such as the number of waiting runs, are read here.

use crate::{
    app::App,
    blocking,
    error::{Error, Result},
    runs::claim,
    telemetry::{self, names},
};

/// Waiting runs are counted up to this number, so that the query stays cheap.
const MOST_WAITING: u64 = 1_000;

/// # Errors
/// INTERNAL if the text cannot be rendered. A database that is unavailable only leaves out the waiting runs.
pub(super) async fn render(app: &App) -> Result<String> {
    match claim::count_waiting(app, MOST_WAITING).await {
        Ok(waiting) => set(names::RUNS_WAITING, waiting),
        Err(error) => tracing::warn!(%error, "could not count the waiting runs for the metrics"),
    }
    let (used, most) = app.worker_slots.usage();
    set(names::WORKER_RUNS, used);
    set(names::WORKER_SLOTS, most);
    set(names::RUNS_LIVE, app.hub.len());
    let connections = app.db.connections();
    for (state, count) in [("used", connections.used), ("idle", connections.idle)] {
        metrics::gauge!(names::CONNECTIONS, "state" => state).set(gauge(count));
    }
    set(names::MAX_CONNECTIONS, connections.max);
    for (provider, count) in app.llm.skipped_pieces() {
        metrics::counter!(names::SKIPPED_PIECES, "provider" => provider.to_owned()).absolute(count);
    }
    let sandboxes = app.sandboxes.counts();
    for (outcome, count) in [("started", sandboxes.started), ("failed", sandboxes.failed)] {
        metrics::counter!(names::SANDBOX_STARTS, "outcome" => outcome).absolute(count);
    }
    metrics::counter!(names::SANDBOX_MEMORY_KILLS).absolute(sandboxes.memory_kills);
    set(
        names::SANDBOX_RUNNING,
        usize::try_from(sandboxes.running).unwrap_or(usize::MAX),
    );
    let disk = app.disk.clone();
    blocking::run("the metrics could not be rendered", move || {
        if let Some(free) = disk.free_bytes() {
            metrics::gauge!(names::DISK_FREE).set(bytes(free));
        }
        Ok::<_, Error>(telemetry::render())
    })
    .await
}

fn set(name: &'static str, count: usize) {
    metrics::gauge!(name).set(gauge(count));
}

fn gauge(count: usize) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the rounding error is far below a disk's block size"
)]
fn bytes(count: u64) -> f64 {
    count as f64
}
