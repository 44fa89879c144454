//! The thread that starts bubblewrap.
//!
//! With `--die-with-parent`, the kernel kills bubblewrap when the thread that started it ends. A pool thread may end
//! while the service runs, so one thread starts all sandboxes and runs until the [`Spawner`] is dropped. If the
//! service is killed, this thread ends and all sandboxes die.

use std::{
    io,
    process::{Child, Command},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use super::child::kill;
use crate::error::{Error, Result};

/// Maximum number of queued commands. Starting one takes one or two milliseconds.
const QUEUE: usize = 64;

#[derive(Debug)]
pub struct Spawner {
    jobs: SyncSender<Job>,
}

struct Job {
    command: Command,
    answer: SyncSender<io::Result<Child>>,
}

impl Spawner {
    /// Starts the thread, which runs until the [`Spawner`] is dropped.
    pub fn start() -> Result<Self> {
        let (jobs, queue) = sync_channel(QUEUE);
        thread::Builder::new()
            .name("sandbox-spawner".into())
            .spawn(move || work(&queue))
            .map_err(|error| Error::internal("the sandbox thread cannot be started", error))?;
        Ok(Self { jobs })
    }

    /// Starts a command. Blocks until fork and exec are done.
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
        // Close the service's copies of the child's pipe ends. Otherwise the reader would never see end-of-file.
        drop(command);
        if let Err(refused) = answer.send(child)
            && let Ok(mut child) = refused.0
        {
            // The caller no longer waits.
            kill(&mut child);
            let _ = child.wait();
        }
    }
}
