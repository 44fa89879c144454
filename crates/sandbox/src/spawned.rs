//! Long-lived processes with standard input and standard output, such as tool servers.
//!
//! The service does not buffer standard output, so a process blocks while its output is not read. Invariant: every
//! process ends at its time limit, or when its [`Spawned`] or its sandbox is dropped.

use std::{fmt, os::fd::OwnedFd, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{UnixStream, unix::pipe},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::{JoinError, JoinHandle},
    time::Instant,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Command, Execution,
    execute::{Running, stoppable, unstarted},
    prepared::prepare,
    start::{Cell, check_script},
};
use crate::error::{Error, ErrorKind, Result};

/// Maximum number of long-lived processes per sandbox. Each has the memory and process limits of one command.
pub const MAX_SPAWNED: usize = 8;

/// A long-lived process. Dropping this value kills the process and its child processes.
pub struct Spawned {
    /// Standard input. Dropping it closes the stream.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// Standard output. It ends when the process and its child processes have closed it.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    stop: DropGuard,
    ended: JoinHandle<Result<Execution>>,
}

impl Spawned {
    /// Closes standard input and standard output, and waits until the process ends by itself or at its time limit.
    /// The result contains the standard error.
    ///
    /// # Errors
    /// INTERNAL if waiting for the process failed.
    pub async fn close(self) -> Result<Execution> {
        self.close_or_stop(&CancellationToken::new()).await
    }

    /// Kills the process and its child processes. Returns the same result as [`Spawned::close`].
    ///
    /// # Errors
    /// The errors of [`Spawned::close`].
    pub async fn stop(self) -> Result<Execution> {
        drop(self.stop);
        joined(self.ended).await
    }

    /// Does the same as [`Spawned::close`] until `stop` is cancelled, and then the same as [`Spawned::stop`].
    ///
    /// # Errors
    /// The errors of [`Spawned::close`].
    pub async fn close_or_stop(self, stop: &CancellationToken) -> Result<Execution> {
        let Self {
            stdin,
            stdout,
            stop: stop_when_dropped,
            mut ended,
        } = self;
        drop((stdin, stdout));
        tokio::select! {
            done = &mut ended => return done.map_err(lost)?,
            () = stop.cancelled() => {}
        }
        drop(stop_when_dropped);
        joined(ended).await
    }
}

impl fmt::Debug for Spawned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawned").finish_non_exhaustive()
    }
}

/// The long-lived processes of one sandbox. Dropping this value kills them.
pub struct LongLived {
    slots: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Default for LongLived {
    fn default() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(MAX_SPAWNED)),
            stop: CancellationToken::new(),
        }
    }
}

impl Drop for LongLived {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The service's ends of standard input and standard output.
type Pipes = (UnixStream, Option<OwnedFd>);

/// Starts a process, and returns when it runs. Fails if the sandbox already runs [`MAX_SPAWNED`] processes.
pub async fn spawn(cell: Cell, command: Command, owner: &LongLived) -> Result<Spawned> {
    let slot = Arc::clone(&owner.slots).try_acquire_owned().map_err(|_| {
        let message = format!("a sandbox can run up to {MAX_SPAWNED} long-lived processes; end one of them first");
        Error::new(ErrorKind::Conflict, message)
    })?;
    let cancel = owner.stop.child_token();
    let stop = cancel.clone().drop_guard();
    let (ready, pipes) = oneshot::channel();
    // A separate task cleans up the process even if the caller's future is dropped.
    let ended = tokio::spawn(live(cell, command, ready, cancel, slot));
    let Ok((socket, Some(stdout))) = pipes.await else {
        let execution = joined(ended).await?;
        let why = execution.ending.describe().unwrap_or_default();
        return Err(Error::new(ErrorKind::Unavailable, "the process ended before it was ready").caused_by(why));
    };
    let stdout = pipe::Receiver::from_owned_fd(stdout)
        .map_err(|error| Error::internal("the process's output cannot be read", error))?;
    let (_, stdin) = socket.into_split();
    Ok(Spawned {
        stdin: Box::new(stdin),
        stdout: Box::new(stdout),
        stop,
        ended,
    })
}

/// Runs the process. Frees the slot after the process and its child processes have ended.
async fn live(
    cell: Cell,
    command: Command,
    ready: oneshot::Sender<Pipes>,
    cancel: CancellationToken,
    slot: OwnedSemaphorePermit,
) -> Result<Execution> {
    let Command { script, timeout } = command;
    check_script(&script)?;
    let preparing = prepare(&cell, Some(script.clone()));
    let mut prepared = match stoppable(preparing, &cancel).await {
        Ok(prepared) => prepared?,
        Err(ending) => return Ok(unstarted(ending)),
    };
    let until = Instant::now() + timeout;
    let stdout = prepared.stdout.take();
    // Standard error has no live view, so the receiver is dropped.
    let (unread, _) = mpsc::channel(1);
    // If the send fails, the caller is gone, and its drop guard has cancelled the process.
    let opened = move |socket| drop(ready.send((socket, stdout)));
    let running = Running::new(cell, prepared, script, unread, opened);
    let execution = running.finish(until, &cancel).await;
    drop(slot);
    execution
}

async fn joined(ended: JoinHandle<Result<Execution>>) -> Result<Execution> {
    ended.await.map_err(lost)?
}

fn lost(error: JoinError) -> Error {
    Error::internal("running the process failed", error)
}
