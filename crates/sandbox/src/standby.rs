//! Sandboxes that are set up before their commands are known, because the setup takes longer than most commands.
//!
//! A [`Standbys`] belongs to one open project sandbox. The first command starts the setup of the next one's sandbox. A
//! waiting sandbox has its own namespaces and control group, and runs nothing of the model. Invariants: each serves
//! one command; none outlives the [`Standbys`] or [`MAX_AGE`]; all of a host together are up to [`MAX_STANDBYS`].

use std::{
    fs::{self, Metadata},
    mem,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout},
};

use super::{
    prepared::{Prepared, prepare},
    start::Cell,
};

/// Maximum number of sandboxes of a host that wait for a command.
pub const MAX_STANDBYS: usize = 16;
/// Number of sandboxes that wait for the next commands of one project sandbox.
const WANTED: usize = 2;
/// Time after which a waiting sandbox is killed.
const MAX_AGE: Duration = Duration::from_mins(1);

/// The waiting sandboxes of one open project sandbox. Dropping this value kills them.
#[derive(Default)]
pub struct Standbys(Mutex<Slots>);

#[derive(Default)]
struct Slots {
    waiting: Vec<Waiting>,
    /// Number of sandboxes that are being set up.
    pending: usize,
}

struct Waiting {
    prepared: Prepared,
    since: Instant,
    /// Device and inode of the workspace that the sandbox has mounted.
    workspace: Option<(u64, u64)>,
    _slot: OwnedSemaphorePermit,
}

impl Standbys {
    /// Returns a sandbox that waits for a command, and that has the workspace which is now at its path.
    pub fn take(&self, cell: &Cell) -> Option<Prepared> {
        let workspace = identity(cell);
        loop {
            let oldest = {
                let mut slots = self.slots();
                (!slots.waiting.is_empty()).then(|| slots.waiting.remove(0))
            };
            let mut waiting = oldest?;
            if waiting.workspace == workspace && waiting.prepared.process.is_running() {
                return Some(waiting.prepared);
            }
            discard(vec![waiting]);
        }
    }

    /// Sets up sandboxes in the background until [`WANTED`] wait.
    pub fn refill(self: &Arc<Self>, cell: &Cell) {
        while let Some(slot) = self.reserve(cell) {
            let (standbys, cell) = (Arc::downgrade(self), cell.clone());
            tokio::spawn(async move {
                let workspace = identity(&cell);
                let prepared = timeout(MAX_AGE, prepare(&cell, None)).await;
                let prepared = prepared
                    .ok()
                    .and_then(Result::ok)
                    .filter(|prepared| prepared.gate.is_some());
                let waiting = prepared.map(|prepared| Waiting {
                    prepared,
                    since: Instant::now(),
                    workspace,
                    _slot: slot,
                });
                drop(cell);
                let is_kept = if let Some(standbys) = standbys.upgrade() {
                    standbys.put(waiting)
                } else {
                    discard(waiting.into_iter().collect());
                    false
                };
                if is_kept {
                    tokio::time::sleep(MAX_AGE).await;
                    Self::expire(&standbys);
                }
            });
        }
    }

    fn reserve(&self, cell: &Cell) -> Option<OwnedSemaphorePermit> {
        let mut slots = self.slots();
        if slots.waiting.len() + slots.pending >= WANTED {
            return None;
        }
        let slot = Arc::clone(&cell.host.standbys).try_acquire_owned().ok()?;
        slots.pending += 1;
        Some(slot)
    }

    /// Ends a setup. Returns whether a sandbox waits now.
    fn put(&self, waiting: Option<Waiting>) -> bool {
        let mut slots = self.slots();
        slots.pending -= 1;
        let is_kept = waiting.is_some();
        slots.waiting.extend(waiting);
        is_kept
    }

    fn expire(standbys: &Weak<Self>) {
        let Some(standbys) = standbys.upgrade() else { return };
        let old = |waiting: &mut Waiting| waiting.since.elapsed() >= MAX_AGE;
        let expired = standbys.slots().waiting.extract_if(.., old).collect();
        discard(expired);
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Standbys {
    fn drop(&mut self) {
        discard(mem::take(&mut self.slots().waiting));
    }
}

/// Kills sandboxes. The wait for their end does not block a thread of the runtime.
fn discard(waiting: Vec<Waiting>) {
    if waiting.is_empty() {
        return;
    }
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(move || drop(waiting))),
        Err(_) => drop(waiting),
    }
}

fn identity(cell: &Cell) -> Option<(u64, u64)> {
    let of = |folder: &Path| {
        fs::metadata(folder)
            .ok()
            .map(|folder: Metadata| (folder.dev(), folder.ino()))
    };
    cell.workspace.as_ref().and_then(|workspace| of(workspace.folder()))
}
