//! Processes whose end can be awaited without blocking a thread.

use std::{
    fs, io,
    os::fd::OwnedFd,
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use tokio::io::{Interest, unix::AsyncFd};

/// Maximum wait until a stopped process is at rest, and the interval of the checks.
const STOP_LIMIT: Duration = Duration::from_millis(50);
const STOP_PAUSE: Duration = Duration::from_micros(50);

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
                kill(&mut child);
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

    /// Kills the child and its own children.
    pub fn kill(&mut self) {
        kill(&mut self.child);
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

/// Kills a child and its own children. bubblewrap's child asks the kernel to end with its parent only a moment after its
/// creation; before that, it would wait forever for a parent that no longer exists. A stopped process creates no
/// children, and does not reap them, so their pids are not reused.
pub fn kill(child: &mut Child) {
    // The pid of a child that has ended may belong to another process.
    if !matches!(child.try_wait(), Ok(None)) {
        return;
    }
    let number = child.id();
    if let Some(pid) = i32::try_from(number).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::STOP);
        let until = Instant::now() + STOP_LIMIT;
        while is_active(number) && Instant::now() < until {
            thread::sleep(STOP_PAUSE);
        }
    }
    let listed = fs::read_to_string(format!("/proc/{number}/task/{number}/children")).unwrap_or_default();
    let numbers = listed
        .split_whitespace()
        .filter_map(|number| Pid::from_raw(number.parse().ok()?));
    let children: Vec<OwnedFd> = numbers
        .filter_map(|number| pidfd_open(number, PidfdFlags::empty()).ok())
        .collect();
    // An error means that the process has already ended.
    let _ = child.kill();
    for child in children {
        let _ = pidfd_send_signal(child, Signal::KILL);
    }
}

/// True unless the process is stopped or has ended.
fn is_active(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The state follows the name, which is in parentheses.
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| !matches!(state, 'T' | 't' | 'Z' | 'X'))
}

impl Watched {
    /// Must be called within the tokio runtime.
    pub fn open(number: i32) -> io::Result<Self> {
        let pid = Pid::from_raw(number).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
        let descriptor = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        // SAFETY: an `OwnedFd` keeps its descriptor number until it is dropped, which happens after the registration
        // has ended.
        let exit = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?;
        Ok(Self { exit })
    }

    /// Sends SIGKILL through the pidfd, so that the signal cannot reach another process with the same pid.
    pub fn kill(&self) {
        let _ = pidfd_send_signal(self.exit.get_ref(), Signal::KILL);
    }

    /// Waits for the end of the process. When the first process of a pid namespace has ended, all other processes of
    /// the namespace have ended too.
    pub async fn wait(&self) -> io::Result<()> {
        self.exit.readable().await?.retain_ready();
        Ok(())
    }
}
