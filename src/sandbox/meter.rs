//! What ends a command that uses more than it may, where the kernel does not.
//!
//! Runs beside each command. Disk: blocks and files of the workspace once a second, or less often when counting takes
//! long; what is written within that second goes over the limit, which is the price of having no quota. Memory: only on
//! hosts without a memory control group, four times a second.

use std::time::{Duration, Instant};

use super::{
    Ending,
    processes::Scope,
    workspace::{Usage, Workspace},
};
use crate::disk;

const DISK_PERIOD: Duration = Duration::from_secs(1);
const MEMORY_PERIOD: Duration = Duration::from_millis(250);
/// Measuring takes at most this part of the time.
const MOST_OF_THE_TIME: u32 = 4;

/// The limits of one command.
#[derive(Clone, Debug)]
pub struct Meter {
    /// The workspace to measure; none when the command has none.
    pub workspace: Option<Workspace>,
    /// What it held at the start.
    pub at_start: Usage,
    /// What it may hold.
    pub limit: Usage,
    /// Free space to keep on the host's disk, in bytes.
    pub min_free_bytes: u64,
    /// What the processes may use together, where no control group sees to it.
    pub max_memory_bytes: Option<u64>,
}

impl Meter {
    /// Returns when a limit is passed, with the ending that it means.
    pub async fn watch(self, scope: Scope) -> Ending {
        let disk = self.clone().repeat(DISK_PERIOD, scope.clone(), Self::disk_is_full);
        if self.max_memory_bytes.is_none() {
            return disk.await;
        }
        tokio::select! {
            ending = disk => ending,
            ending = self.repeat(MEMORY_PERIOD, scope, Self::memory_is_over) => ending,
        }
    }

    async fn repeat(self, period: Duration, scope: Scope, check: fn(&Self, &Scope) -> Option<Ending>) -> Ending {
        let mut pause = period;
        loop {
            tokio::time::sleep(pause).await;
            let (meter, scope) = (self.clone(), scope.clone());
            let measured = tokio::task::spawn_blocking(move || {
                let start = Instant::now();
                (check(&meter, &scope), start.elapsed())
            });
            // The runtime is going away; so is this command.
            let Ok((ending, took)) = measured.await else {
                return Ending::Cancelled;
            };
            if let Some(ending) = ending {
                return ending;
            }
            pause = period.max(took * MOST_OF_THE_TIME);
        }
    }

    /// Over the limit and grown: a command that makes room in a full workspace is let go on.
    fn disk_is_full(&self, scope: &Scope) -> Option<Ending> {
        let workspace = self.workspace.as_ref()?;
        let mut usage = workspace.usage_until(self.limit.max(self.at_start)).ok()?;
        usage.bytes = usage.bytes.saturating_add(scope.deleted_bytes(workspace.folder()));
        let grown = usage.bytes > self.at_start.bytes || usage.files > self.at_start.files;
        let over = usage.bytes > self.limit.bytes || usage.files > self.limit.files;
        let full = grown && (over || !disk::has_room(workspace.folder(), self.min_free_bytes, 0));
        full.then_some(Ending::DiskFull)
    }

    fn memory_is_over(&self, scope: &Scope) -> Option<Ending> {
        let limit = self.max_memory_bytes?;
        (scope.held_bytes(limit) > limit).then_some(Ending::OutOfMemory)
    }
}

impl Usage {
    /// The greater of each.
    fn max(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.max(other.bytes),
            files: self.files.max(other.files),
        }
    }

    /// Whether one is more than the limit.
    pub(super) fn is_over(self, limit: Self) -> bool {
        self.bytes > limit.bytes || self.files > limit.files
    }
}
