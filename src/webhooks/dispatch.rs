//! The loop that finds due webhooks. Each claimed webhook gets a task.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::{claim, deliver};
use crate::{app::App, error::Result, id};

/// Poll interval. It bounds the delay of a delivery.
const POLL: Duration = Duration::from_millis(250);
/// Pause after a database error.
const AGAIN: Duration = Duration::from_secs(2);
/// Maximum number of webhooks that this process serves at the same time.
const MAX_WEBHOOKS: usize = 64;
/// Maximum wait for open requests at shutdown. Their deliveries are sent again after the lease has expired.
const WIND_UP: Duration = Duration::from_secs(2);

/// Sends deliveries until the app is stopping.
pub async fn dispatch(app: App) {
    let (places, tasks) = (Arc::new(Semaphore::new(MAX_WEBHOOKS)), TaskTracker::new());
    if app.db.is_private()
        && let Err(fault) = claim::release_all(&app).await
    {
        warn!(error = %fault, "could not release the leases of webhooks; they will expire");
    }
    while !app.stopping.is_cancelled() {
        let pause = match step(&app, &places, &tasks).await {
            Ok(true) => continue,
            Ok(false) => POLL,
            Err(fault) => {
                warn!(error = %fault, "could not find due webhooks");
                AGAIN
            }
        };
        tokio::select! {
            () = app.stopping.cancelled() => {}
            () = sleep(pause) => {}
        }
    }
    tasks.close();
    drop(timeout(WIND_UP, tasks.wait()).await);
}

/// Queues new deliveries and starts the tasks of due webhooks. Returns true if more work may be waiting.
async fn step(app: &App, places: &Arc<Semaphore>, tasks: &TaskTracker) -> Result<bool> {
    let more = claim::queue_new(app).await?;
    // Each claim has its own owner, so a task whose lease has expired cannot release a later claim.
    let owner = id::new();
    let claimed = claim::claim(app, owner, places.available_permits()).await?;
    for webhook in claimed {
        let place = Arc::clone(places).acquire_owned().await;
        let app = app.clone();
        tasks.spawn(async move {
            let _place = place;
            deliver::deliver(app, owner, webhook).await;
        });
    }
    Ok(more)
}
