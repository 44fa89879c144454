//! The gate at which each command waits until the service is ready for it.
//!
//! bubblewrap asks the kernel to kill the sandbox when the service dies, but the sandbox's first process makes this
//! request only a moment after it was created. If the service were killed in that moment, the sandbox would stay. So
//! the first process reports that it is ready and waits for an answer from the service. If the service is gone, the
//! process reads the end of the socket instead and exits before it has run anything.

use std::{
    io::{self, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
};

/// Script that the first process runs before the command. Its standard input is its end of the gate.
pub const WAIT: &str = "echo >&0 && read -r go && exec </dev/null || exit 125; ";

/// The service's end of the gate. Dropping it keeps the command from running.
#[derive(Debug)]
pub struct Gate(UnixStream);

impl Gate {
    /// Creates a gate and the standard input for the first process. Other children inherit neither.
    pub fn new() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Self(ours), theirs.into()))
    }

    /// Lets the command run as soon as it is ready. For commands that need no guard.
    pub fn open_ahead(&self) -> io::Result<()> {
        (&self.0).write_all(b"\n")
    }

    /// Waits for the first process, runs `guard`, then lets the command run. Must be called within the tokio runtime.
    pub async fn open_when_ready<T>(self, guard: impl FnOnce() -> T) -> io::Result<T> {
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
        Ok(guarded)
    }
}
