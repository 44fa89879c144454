//! What a child does between fork and exec, so that bubblewrap itself starts with nothing it does not need.
//!
//! Used by `bwrap` on every command. The environment is cleared by the command's builder; here the child joins its control
//! groups, drops to the project's uid, takes its limits and loses every descriptor that it was not given.

use std::{ffi::CString, io, os::fd::RawFd, process::Command};

/// The child's preparations, all in values that were made before the fork.
#[derive(Clone, Debug, Default)]
pub struct Confinement {
    /// `cgroup.procs` files, open for writing, that the child joins.
    pub join: Vec<RawFd>,
    /// The uid and gid to become, when the service runs as root.
    pub become_user: Option<u32>,
    /// A folder to lay over another in a mount namespace of the child's own, because the project's uid cannot walk to it.
    pub carry: Option<Carry>,
    /// Resource limits: which, and how much.
    pub limits: Vec<(libc::__rlimit_resource_t, u64)>,
    /// Descriptors that bubblewrap gets, besides the first three.
    pub keep: Vec<RawFd>,
}

/// A bind mount for the child alone.
#[derive(Clone, Debug)]
pub struct Carry {
    /// The folder, by its full path.
    pub source: CString,
    /// A folder that everybody can walk to.
    pub target: CString,
}

/// How much more readily the kernel ends a command than the service when the whole host is out of memory.
const OOM_SCORE: &[u8] = b"600";
/// How far a command stands back behind the service for processor time.
const NICENESS: i32 = 5;

impl Confinement {
    /// Has the command's child do all this before it executes.
    pub fn apply_to(self, command: &mut Command) {
        use std::os::unix::process::CommandExt as _;
        // Asked for here, in the thread that the child must not outlive.
        let parent = std::process::id();
        let apply = move || self.apply(parent);
        // SAFETY: `apply` runs in the forked child of a program with threads, where only async-signal-safe functions may be
        // called: it makes plain system calls on values made before the fork, and neither allocates nor locks.
        unsafe { command.pre_exec(apply) };
    }

    fn apply(&self, parent: u32) -> io::Result<()> {
        for procs in &self.join {
            // SAFETY: the buffer is valid for its one byte; "0" stands for the writer.
            let written = unsafe { libc::write(*procs, b"0".as_ptr().cast(), 1) };
            checked(written as i64)?;
        }
        stand_back();
        if let Some(carry) = &self.carry {
            carry.mount()?;
        }
        for (resource, limit) in &self.limits {
            set_limit(*resource, *limit)?;
        }
        // SAFETY: none of these touches memory. A write beyond the file size limit is then an error that the program can
        // report, not its death.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::umask(0o022);
        }
        if let Some(id) = self.become_user {
            // SAFETY: plain system calls of this single-threaded child; the group list is empty, so its pointer is not read.
            unsafe {
                checked(libc::setgroups(0, std::ptr::null()))?;
                checked(libc::setresgid(id, id, id))?;
                checked(libc::setresuid(id, id, id))?;
            }
        }
        // After the change of uid, which clears it. bubblewrap sets it again; this covers the time until then.
        // SAFETY: plain system calls.
        unsafe {
            checked(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            if libc::getppid().unsigned_abs() != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        self.close_others()
    }

    fn close_others(&self) -> io::Result<()> {
        // SAFETY: marks descriptors to be closed at exec; nothing is closed that this process still uses.
        let marked = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
        checked(marked)?;
        for descriptor in &self.keep {
            // SAFETY: the descriptor is open; see the caller.
            checked(unsafe { libc::fcntl(*descriptor, libc::F_SETFD, 0) })?;
        }
        Ok(())
    }
}

impl Carry {
    fn mount(&self) -> io::Result<()> {
        let none = std::ptr::null::<libc::c_char>();
        // SAFETY: the strings are NUL-terminated and outlive the calls; the null pointers are arguments that are not read.
        unsafe {
            checked(libc::unshare(libc::CLONE_NEWNS))?;
            checked(libc::mount(
                none,
                c"/".as_ptr(),
                none,
                libc::MS_REC | libc::MS_SLAVE,
                none.cast(),
            ))?;
            checked(libc::mount(
                self.source.as_ptr(),
                self.target.as_ptr(),
                none,
                libc::MS_BIND,
                none.cast(),
            ))?;
        }
        Ok(())
    }
}

/// Best effort: a host that does not let it happen is no reason not to run.
fn stand_back() {
    // SAFETY: the strings are NUL-terminated, the buffer is valid for its length, and the descriptor is closed once.
    unsafe {
        let score = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if score >= 0 {
            libc::write(score, OOM_SCORE.as_ptr().cast(), OOM_SCORE.len());
            libc::close(score);
        }
        libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS);
    }
}

/// Sets a limit for good, or leaves the stricter one that the service runs under.
fn set_limit(resource: libc::__rlimit_resource_t, limit: u64) -> io::Result<()> {
    let mut current = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the structure is valid for writing, then for reading.
    unsafe {
        checked(libc::getrlimit(resource, &raw mut current))?;
        let limit = limit.min(current.rlim_max);
        let new = libc::rlimit {
            rlim_cur: limit,
            rlim_max: limit,
        };
        checked(libc::setrlimit(resource, &raw const new))?;
    }
    Ok(())
}

fn checked(answer: impl Into<i64>) -> io::Result<()> {
    if answer.into() < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
