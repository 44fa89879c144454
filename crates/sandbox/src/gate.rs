//! The gate at which each command waits until the service is ready for it.
//!
//! bubblewrap asks the kernel to kill the sandbox when the service dies, but the sandbox's first process makes this
//! request only a moment after its creation. If the service were killed in this moment, the sandbox would keep running.
//! The first process therefore reports that it is ready and waits for an answer from the service. If the service has
//! ended, the process reads the end of the socket's stream instead, and exits before it has run anything.

use std::{
    io::{self, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
};

/// Script that the first process runs before the command. The standard input of the first process is its end of the
/// gate.
pub const WAIT: &str = "echo >&0 && read -r go && exec </dev/null || exit 125; ";
/// The same script for a process that keeps the gate's socket as its standard input.
pub const WAIT_WITH_INPUT: &str = "echo >&0 && read -r go || exit 125; ";

/// The service's end of the gate. If it is dropped before it was opened, the command does not run.
#[derive(Debug)]
pub struct Gate(UnixStream);

impl Gate {
    /// Creates a gate, and the end of the gate that becomes the standard input of the first process. Other child
    /// processes inherit neither end.
    pub fn new() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Self(ours), theirs.into()))
    }

    /// Lets the command run as soon as the first process is ready. Use this for a command that needs no record
    /// (`records`), such as the probe in `host`.
    pub fn open_ahead(&self) -> io::Result<()> {
        (&self.0).write_all(b"\n")
    }

    /// Waits for the first process, runs `guard`, then lets the command run. Returns the service's end of the socket;
    /// the command may have kept the other end. Must be called within the tokio runtime.
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
