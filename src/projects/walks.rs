//! Runs the directory walks of requests: listing files, measuring a workspace and building an archive.
//!
//! A walk over a large workspace can take most of a second of CPU time. Each account therefore runs one walk at a
//! time, and the process limits the number of concurrent walks.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::table::sandbox;
use crate::{
    accounts::{AccountQueues, queue::QueueTurn},
    app::App,
    blocking,
    error::{Error, Result},
    sandbox::{ProjectSandbox, Usage},
};

/// Maximum number of waiting walks per account.
const MAX_WAITING: usize = 200;
/// Maximum wait in the queue of the account.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Maximum number of concurrent walks in the process. With fewer processors, the limit is the number of processors,
/// but at least 2.
const MOST: usize = 8;
/// Maximum number of concurrent archives per account.
const ARCHIVES: usize = 4;
/// Time for which the size of a workspace is cached.
const USAGE_FOR: Duration = Duration::from_secs(1);
/// Maximum number of cached sizes.
const REMEMBERED: u64 = 10_000;

/// Queues of walks and archives, and the cached sizes of workspaces.
#[derive(Clone)]
pub struct Walks {
    turns: AccountQueues,
    archives: AccountQueues,
    places: Arc<Semaphore>,
    usage: Cache<Uuid, Usage>,
}

impl Default for Walks {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            turns: AccountQueues::new(1, MAX_WAITING),
            archives: AccountQueues::new(ARCHIVES, 0),
            places: Arc::new(Semaphore::new(processors.clamp(2, MOST))),
            usage: Cache::builder()
                .time_to_live(USAGE_FOR)
                .max_capacity(REMEMBERED)
                .build(),
        }
    }
}

impl Walks {
    /// Runs a walk after the account's earlier walks. If the caller disconnects, the walk continues, and the
    /// account's next walk waits until this walk ends.
    ///
    /// # Errors
    /// UNAVAILABLE if too many walks of the account wait or the wait times out; errors of the walk.
    pub async fn run<T, E>(&self, account_id: Uuid, walk: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T>
    where
        T: Send + 'static,
        E: Into<Error> + Send + 'static,
    {
        let turn = self.turns.take_within(account_id, MAX_WAIT).await?;
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|error| Error::internal("the workspace could not be read", error))?;
        blocking::run("the workspace could not be read", move || {
            let walked = walk();
            drop((place, turn));
            walked
        })
        .await
    }

    /// Reserves one of the account's slots for archives. Dropping the returned value frees the slot.
    ///
    /// # Errors
    /// UNAVAILABLE if the account already reads the maximum number of archives.
    pub async fn archive(&self, account_id: Uuid) -> Result<QueueTurn> {
        self.archives.take(account_id).await
    }

    /// Drops the cached size of a workspace that has changed.
    pub async fn changed(&self, project_id: Uuid) {
        self.usage.invalidate(&project_id).await;
    }
}

/// Returns the size of a workspace, up to one second old. Concurrent calls share one walk.
pub async fn usage(app: &App, row: &sandbox::Model, opened: &ProjectSandbox) -> Result<Usage> {
    let workspace = opened.workspace().clone();
    let measured = app.walks.run(row.account_id, move || workspace.usage());
    let usage = app.walks.usage.try_get_with(row.project_id, measured).await;
    // Concurrent callers share one error. The cause is already logged, so the copies omit the cause.
    usage.map_err(|error| Error::new(error.code(), error.message().to_owned()))
}
