//! The one thread that starts bubblewrap.
//!
//! `--die-with-parent` is about the *thread* that forked: a sandbox started from a pool's thread dies when the pool lets the
//! thread go. This one lives as long as there are sandboxes, and when the process is killed everything dies with it.

use std::{
    io,
    process::{Child, Command},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use crate::error::{Error, Result};

/// Starts that may wait for the thread; each takes a millisecond or two.
const QUEUE: usize = 64;

/// The way to the thread.
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
    /// INTERNAL when there can be no thread.
    pub fn start() -> Result<Self> {
        let (jobs, queue) = sync_channel(QUEUE);
        thread::Builder::new()
            .name("sandbox-spawner".into())
            .spawn(move || work(&queue))
            .map_err(|error| Error::internal("the sandbox thread cannot be started", error))?;
        Ok(Self { jobs })
    }

    /// Starts a command from the thread. Blocks for the fork and the exec.
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
        // Our ends of the child's pipes go before anybody waits for their end.
        drop(command);
        if let Err(refused) = answer.send(child)
            && let Ok(mut child) = refused.0
        {
            // Nobody waits for it any more; an error means that it has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
