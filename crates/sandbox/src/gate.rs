//! The gate: a socket on which each command waits until the service is ready.
//!
//! If the service is killed, the kernel kills bubblewrap and then the sandbox's first process. But the kernel kills
//! the first process only if this process has requested it (`PR_SET_PDEATHSIG`). If the service were killed before
//! this request, the sandbox would keep running. Therefore the first process reports over the socket that it has made
//! the request, and waits for an answer. If the service has ended, the first process reads end-of-file and exits
//! without running the command.

use std::{
    io::{self, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
};

/// Script that the first process runs before the command. Its standard input is the gate's socket.
pub const WAIT: &str = "echo >&0 && read -r go && exec </dev/null || exit 125; ";
/// Like [`WAIT`], but the socket stays the command's standard input.
pub const WAIT_WITH_INPUT: &str = "echo >&0 && read -r go || exit 125; ";

/// The service's end of the socket. If this value is dropped before the gate is opened, the command does not run.
#[derive(Debug)]
pub struct Gate(UnixStream);

impl Gate {
    /// Creates a gate. Also returns the other end of the socket, for the standard input of the first process. Other
    /// child processes inherit neither end.
    pub fn new() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Self(ours), theirs.into()))
    }

    /// Lets the command run as soon as the first process is ready. For commands that need no record (module
    /// `records`).
    pub fn open_ahead(&self) -> io::Result<()> {
        (&self.0).write_all(b"\n")
    }

    /// Waits until the first process is ready, runs `guard`, and lets the command run. Also returns the service's end
    /// of the socket, through which [`WAIT_WITH_INPUT`] commands get input. Must be called within the tokio runtime.
    pub async fn open_when_ready<T>(self, guard: impl Future<Output = T>) -> io::Result<(T, tokio::net::UnixStream)> {
        self.0.set_nonblocking(true)?;
        let socket = tokio::net::UnixStream::from_std(self.0)?;
        loop {
            socket.readable().await?;
            let mut word = [0];
            match socket.try_read(&mut word) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        let guarded = guard.await;
        // The send buffer is empty, so the byte fits.
        socket.try_write(b"\n")?;
        Ok((guarded, socket))
    }
}
