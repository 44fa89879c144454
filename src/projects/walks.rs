//! Walks over workspaces that callers ask for: lists, sizes, archives.
//!
//! A walk over a large workspace takes a processor for a good part of a second. So each account has one at a time, and the
//! process a few: whoever asks a hundred times at once waits for itself, and another account's walk is the next one.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::table::sandbox;
use crate::{
    accounts::{Turns, turns::Turn},
    app::App,
    error::{Error, Result},
    sandbox::{Sandbox, Usage},
};

/// Maximum number of walks of an account that wait.
const MAX_WAITING: usize = 200;
/// How long a walk waits for its turn.
const PATIENCE: Duration = Duration::from_secs(30);
/// Maximum number of walks at a time, however many processors there are.
const MOST: usize = 8;
/// Maximum number of archives that an account reads at a time.
const ARCHIVES: usize = 4;
/// How long the size of a workspace is remembered.
const USAGE_FOR: Duration = Duration::from_secs(1);
/// Workspaces whose size is remembered.
const REMEMBERED: u64 = 10_000;

/// The turns of walks, and the sizes that they have found. Cheap to clone.
#[derive(Clone)]
pub struct Walks {
    turns: Turns,
    archives: Turns,
    places: Arc<Semaphore>,
    usage: Cache<Uuid, Usage>,
}

impl Default for Walks {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            turns: Turns::new(1, MAX_WAITING),
            archives: Turns::new(ARCHIVES, 0),
            places: Arc::new(Semaphore::new(processors.clamp(2, MOST))),
            usage: Cache::builder()
                .time_to_live(USAGE_FOR)
                .max_capacity(REMEMBERED)
                .build(),
        }
    }
}

impl Walks {
    /// Walks when the account's turn comes. A caller that has gone does not end the walk, which keeps its turn until it is over.
    ///
    /// # Errors
    /// UNAVAILABLE when too many walks of the account wait, or its turn does not come in time; those of the walk.
    pub async fn run<T: Send + 'static>(
        &self,
        account_id: Uuid,
        walk: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = self.turns.take_within(account_id, PATIENCE).await?;
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|error| Error::internal("walk", error))?;
        let walking = tokio::task::spawn_blocking(move || {
            let walked = walk();
            drop((place, turn));
            walked
        });
        walking.await.map_err(|error| Error::internal("walk", error))?
    }

    /// A place for one more archive of the account, until it is dropped.
    ///
    /// # Errors
    /// UNAVAILABLE when the account reads as many as it may.
    pub async fn archive(&self, account_id: Uuid) -> Result<Turn> {
        self.archives.take(account_id).await
    }

    /// Forgets the size of a workspace that was changed just now.
    pub async fn changed(&self, project_id: Uuid) {
        self.usage.invalidate(&project_id).await;
    }
}

/// What a sandbox's workspace holds, or held within the last second. Callers that ask at the same time share one walk.
///
/// # Errors
/// As [`Walks::run`].
pub async fn usage(app: &App, row: &sandbox::Model, opened: &Sandbox) -> Result<Usage> {
    let workspace = opened.workspace().clone();
    let measured = app.walks.run(row.account_id, move || workspace.usage());
    let usage = app.walks.usage.try_get_with(row.project_id, measured).await;
    // The first of those who asked has logged the cause.
    usage.map_err(|error| Error::new(error.code(), error.message().to_owned()))
}
