//! Enforces disk and memory limits that the kernel does not enforce.
//!
//! Each command has a meter, which measures disk use once a second and memory four times a second. After a slow
//! measurement, the pause is longer. Between two measurements, a command can exceed the limit.

use std::time::{Duration, Instant};

use super::{
    CommandEnd,
    processes::Scope,
    workspace::{Usage, Workspace},
};
use crate::disk;

const DISK_PERIOD: Duration = Duration::from_secs(1);
const MEMORY_PERIOD: Duration = Duration::from_millis(250);
/// Minimum pause after a measurement, as a multiple of its duration.
const MOST_OF_THE_TIME: u32 = 4;

#[derive(Clone, Debug)]
pub struct Meter {
    pub workspace: Option<Workspace>,
    pub at_start: Usage,
    pub limit: Usage,
    pub min_free_bytes: u64,
    /// Maximum memory of all processes together in bytes; `None` if a control group enforces the limit.
    pub max_memory_bytes: Option<u64>,
}

impl Meter {
    pub async fn watch(self, scope: Scope) -> CommandEnd {
        let disk = self.clone().repeat(DISK_PERIOD, scope.clone(), Self::disk_is_full);
        if self.max_memory_bytes.is_none() {
            return disk.await;
        }
        tokio::select! {
            ending = disk => ending,
            ending = self.repeat(MEMORY_PERIOD, scope, Self::memory_is_over) => ending,
        }
    }

    async fn repeat(
        self,
        period: Duration,
        scope: Scope,
        check: fn(&Self, &Scope) -> Option<CommandEnd>,
    ) -> CommandEnd {
        let mut pause = period;
        loop {
            tokio::time::sleep(pause).await;
            let (meter, scope) = (self.clone(), scope.clone());
            let measured = tokio::task::spawn_blocking(move || {
                let start = Instant::now();
                (check(&meter, &scope), start.elapsed())
            });
            let Ok((ending, took)) = measured.await else {
                // The runtime is shutting down, which ends the command too.
                return CommandEnd::Cancelled;
            };
            if let Some(ending) = ending {
                return ending;
            }
            pause = period.max(took * MOST_OF_THE_TIME);
        }
    }

    /// Returns `DiskFull` if the workspace has grown since the command started, and the workspace or the host's disk
    /// is full. A command that frees space in a full workspace may therefore continue.
    fn disk_is_full(&self, scope: &Scope) -> Option<CommandEnd> {
        let workspace = self.workspace.as_ref()?;
        let mut usage = workspace.usage_until(self.limit.max(self.at_start)).ok()?;
        usage.bytes = usage.bytes.saturating_add(scope.deleted_bytes(workspace.folder()));
        let grown = usage.bytes > self.at_start.bytes || usage.files > self.at_start.files;
        let over = usage.bytes > self.limit.bytes || usage.files > self.limit.files;
        let full = grown && (over || !disk::has_room(workspace.folder(), self.min_free_bytes, 0));
        full.then_some(CommandEnd::DiskFull)
    }

    fn memory_is_over(&self, scope: &Scope) -> Option<CommandEnd> {
        let limit = self.max_memory_bytes?;
        (scope.memory_bytes(limit) > limit).then_some(CommandEnd::OutOfMemory)
    }
}

impl Usage {
    fn max(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.max(other.bytes),
            files: self.files.max(other.files),
        }
    }

    pub(super) fn is_over(self, limit: Self) -> bool {
        self.bytes > limit.bytes || self.files > limit.files
    }
}
