//! The gate: a socket on which each command waits for the service.
//!
//! The sandbox's first process must end when bubblewrap ends, and bubblewrap when the service ends. The first process
//! asks the kernel for this (`PR_SET_PDEATHSIG`) only after its start. If the service were killed before that, the
//! sandbox would keep running. Therefore the first process then reports that it is ready, and waits for an answer. If
//! the service has ended, it reads end-of-file and exits.

use std::{
    io::{self, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
};

/// Script of the first process before the command. Its standard input is its end of the gate's socket.
pub const WAIT: &str = "echo >&0 && read -r go && exec </dev/null || exit 125; ";
/// Like [`WAIT`], but the gate's socket stays the command's standard input.
pub const WAIT_WITH_INPUT: &str = "echo >&0 && read -r go || exit 125; ";

/// The service's end of the gate. If it is dropped unopened, the command does not run.
#[derive(Debug)]
pub struct Gate(UnixStream);

impl Gate {
    /// Creates a gate. Also returns the other end of its socket, which becomes the first process's standard input.
    /// Other child processes inherit neither end.
    pub fn new() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Self(ours), theirs.into()))
    }

    /// Lets the command run as soon as the first process is ready. For commands without a record (module `records`),
    /// such as the test of bubblewrap in `host`.
    pub fn open_ahead(&self) -> io::Result<()> {
        (&self.0).write_all(b"\n")
    }

    /// Waits until the first process is ready, runs `guard`, and lets the command run. Also returns the service's end
    /// of the socket, which is connected to the command's standard input with [`WAIT_WITH_INPUT`]. Must be called
    /// within the tokio runtime.
    pub async fn open_when_ready<T>(self, guard: impl FnOnce() -> T) -> io::Result<(T, tokio::net::UnixStream)> {
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
        let guarded = guard();
        // The send buffer is empty, so the byte fits.
        socket.try_write(b"\n")?;
        Ok((guarded, socket))
    }
}
