//! Processes whose end can be awaited without blocking a thread.

use std::{
    io,
    os::fd::OwnedFd,
    process::{Child, ExitStatus},
};

use rustix::process::{Pid, PidfdFlags};
use tokio::io::{Interest, unix::AsyncFd};

/// A child process. Dropping this value kills and reaps the child, unless `wait` has returned its status.
#[derive(Debug)]
pub struct Process {
    child: Child,
    exit: AsyncFd<OwnedFd>,
    ended: bool,
}

/// Any process whose end can be awaited, not necessarily a child.
#[derive(Debug)]
pub struct Watched {
    exit: AsyncFd<OwnedFd>,
}

impl Process {
    /// Must be called within the tokio runtime.
    pub fn new(mut child: Child) -> io::Result<Self> {
        let watched = i32::try_from(child.id())
            .map_err(io::Error::other)
            .and_then(Watched::open);
        match watched {
            Ok(Watched { exit }) => Ok(Self {
                child,
                exit,
                ended: false,
            }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    /// Waits until the child has ended, and returns its exit status. Cancel-safe.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.ended = true;
                return Ok(status);
            }
            self.exit.readable().await?.retain_ready();
        }
    }

    pub fn kill(&mut self) {
        // An error means that the child has already ended.
        let _ = self.child.kill();
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.ended {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

impl Watched {
    /// Must be called within the tokio runtime.
    pub fn open(number: i32) -> io::Result<Self> {
        let pid = Pid::from_raw(number).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
        let descriptor = rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        // SAFETY: an `OwnedFd` keeps its descriptor number until it is dropped, which happens after the registration
        // has ended.
        let exit = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?;
        Ok(Self { exit })
    }

    /// Sends SIGKILL through the pidfd, so that the signal cannot reach another process with the same pid.
    pub fn kill(&self) {
        let _ = rustix::process::pidfd_send_signal(self.exit.get_ref(), rustix::process::Signal::KILL);
    }

    /// Waits for the end of the process. When the first process of a pid namespace has ended, all other processes of
    /// the namespace have ended too.
    pub async fn wait(&self) -> io::Result<()> {
        self.exit.readable().await?.retain_ready();
        Ok(())
    }
}
