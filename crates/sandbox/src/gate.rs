//! The gate: each sandbox waits at its gate until the service lets its command run.
//!
//! If the service is killed, the kernel kills bubblewrap and then the sandbox's first process. But the kernel kills
//! the first process only if this process has requested it (`PR_SET_PDEATHSIG`). If the service were killed before
//! this request, the sandbox would keep running. Therefore the first process reports that it has made the request, and
//! waits. If the service has ended, the first process reads end-of-file and exits without running the command.
//!
//! A command gets its script only at the gate, so that its sandbox can be prepared before the script is known
//! (module `standby`).

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
};

use rustix::{
    fs::Mode,
    pipe::{PipeFlags, pipe_with},
};

use super::bwrap::Room;

/// Start of the first process of a command. Its standard input is a pipe, from which the shell reads assignments of
/// the service. The shell reports on its standard output that it is ready.
pub const WAIT_FOR_SCRIPT: &str = "echo && . /proc/self/fd/0 && [ \"${script+set}\" ] && exec </dev/null || exit 125; ";
/// The byte that the first process of a command writes when it is ready.
pub const READY: u8 = b'\n';
/// Start of the first process of a long-lived process. Its standard input is a socket, over which it reports that it is
/// ready, and which stays the standard input.
pub const WAIT_WITH_INPUT: &str = "echo >&0 && read -r go || exit 125; ";

/// The service's end of the gate. If this value is dropped before the gate is opened, the command does not run.
#[derive(Debug)]
pub enum Gate {
    /// Write end of the pipe for the script.
    Script(OwnedFd),
    /// Socket of a long-lived process.
    Socket(UnixStream),
}

impl Gate {
    /// Creates the gate of a command. Also returns the standard input of the first process. Other child processes
    /// inherit neither.
    pub fn for_script() -> io::Result<(Self, OwnedFd)> {
        let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
        // The shell opens the pipe by its path, as another user than the service.
        rustix::fs::fchmod(&theirs, Mode::from_raw_mode(0o444))?;
        Ok((Self::Script(ours), theirs))
    }

    /// Creates the gate of a long-lived process. Also returns the standard input of the first process.
    pub fn for_process() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Self::Socket(ours), theirs.into()))
    }
}

/// Returns the text that the first process of a command reads at the gate.
pub fn assignments(script: &str, room: Room) -> String {
    let limit = match room {
        Room::Free => "",
        Room::Full => "ulimit -f 0\n",
    };
    format!("{limit}script={}\n", quoted(script))
}

/// Quotes a text for the shell.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Waits until the first process of a long-lived process is ready.
pub async fn ready(socket: &tokio::net::UnixStream) -> io::Result<()> {
    loop {
        socket.readable().await?;
        let mut word = [0];
        match socket.try_read(&mut word) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_quoted() {
        assert_eq!(assignments("it's $(x)", Room::Free), "script='it'\\''s $(x)'\n");
        assert_eq!(assignments("", Room::Full), "ulimit -f 0\nscript=''\n");
    }
}
