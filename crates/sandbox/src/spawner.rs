//! The thread that starts bubblewrap.
//!
//! `--die-with-parent` refers to the *thread* that forked: a sandbox started from a pool thread dies when the pool ends
//! that thread. This thread lives as long as there are sandboxes, and all of them die when the process is killed.

use std::{
    io,
    process::{Child, Command},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use crate::error::{Error, Result};

/// Maximum number of queued starts; each takes a millisecond or two.
const QUEUE: usize = 64;

/// Handle to the thread.
#[derive(Debug)]
pub struct Spawner {
    jobs: SyncSender<Job>,
}

struct Job {
    command: Command,
    answer: SyncSender<io::Result<Child>>,
}

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    /// INTERNAL when the thread cannot be created.
    pub fn start() -> Result<Self> {
        let (jobs, queue) = sync_channel(QUEUE);
        thread::Builder::new()
            .name("sandbox-spawner".into())
            .spawn(move || work(&queue))
            .map_err(|error| Error::internal("the sandbox thread cannot be started", error))?;
        Ok(Self { jobs })
    }

    /// Starts a command from the thread. Blocks for fork and exec.
    pub fn spawn(&self, command: Command) -> io::Result<Child> {
        let gone = || io::Error::other("the sandbox thread has ended");
        let (answer, child) = sync_channel(1);
        self.jobs.send(Job { command, answer }).map_err(|_| gone())?;
        child.recv().map_err(|_| gone())?
    }
}

fn work(queue: &Receiver<Job>) {
    while let Ok(Job { mut command, answer }) = queue.recv() {
        let child = command.spawn();
        // Close our ends of the child's pipes before the caller waits for them to close.
        drop(command);
        if let Err(refused) = answer.send(child)
            && let Ok(mut child) = refused.0
        {
            // The caller is gone. An error means that the child has already ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
