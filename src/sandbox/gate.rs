//! The gate that each command waits behind until the service is ready for it.
//!
//! bubblewrap asks the kernel to kill the sandbox when the service dies, but the sandbox's first process does so only a
//! moment after it was made. A service that was killed in that moment used to leave the sandbox behind. So the first process
//! says that it is there and waits for a word from the service. Without the service there is no word, only the end of the
//! socket, and the first process exits before it has run anything.

use std::{
    io::{self, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
};

/// What the first process executes before the command: its side of the gate is its standard input.
pub const WAIT: &str = "echo >&0 && read -r go && exec </dev/null || exit 125; ";

/// The service's side of the gate. Dropping it keeps the command from running.
#[derive(Debug)]
pub struct Gate(UnixStream);

impl Gate {
    /// Makes a gate, and the standard input for the first process. Both are closed in other children.
    pub fn new() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Self(ours), theirs.into()))
    }

    /// Lets the command run when it is there. For commands that need no guard.
    pub fn open_ahead(&self) -> io::Result<()> {
        (&self.0).write_all(b"\n")
    }

    /// Waits for the first process, runs `guard`, then lets the command run. Must be called within the runtime.
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
        // The buffer is empty, so the word fits.
        socket.try_write(b"\n")?;
        Ok(guarded)
    }
}
