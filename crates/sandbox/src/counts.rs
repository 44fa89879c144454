//! Counts the commands of all sandboxes, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of a host. All except `running` count since the start of the process.
#[derive(Debug, Default)]
pub struct Counters {
    started: AtomicU64,
    failed: AtomicU64,
    running: AtomicU64,
    memory_kills: AtomicU64,
}

/// Values of the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Commands that began.
    pub started: u64,
    /// Sandboxes that could not be started.
    pub failed: u64,
    /// Commands that run now.
    pub running: u64,
    /// Commands in which a process was killed because memory had run out.
    pub memory_kills: u64,
}

impl Counters {
    pub fn read(&self) -> Counts {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            started: value(&self.started),
            failed: value(&self.failed),
            running: value(&self.running),
            memory_kills: value(&self.memory_kills),
        }
    }

    /// Counts a sandbox that could not be started.
    pub fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a command that begins in its sandbox.
    pub fn began(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the end of a command for which [`Counters::began`] was called.
    pub fn ended(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn ran_out_of_memory(&self) {
        self.memory_kills.fetch_add(1, Ordering::Relaxed);
    }
}
