//! Sets up bubblewrap's process between fork and exec, so that bubblewrap gets only the access that it needs.
//!
//! The child joins the control groups, sets resource limits, switches to the project's uid, and closes all
//! descriptors that bubblewrap does not need.

use std::{
    ffi::{CStr, CString, OsStr},
    io,
    os::{fd::RawFd, unix::ffi::OsStrExt},
    path::PathBuf,
    process::Command,
};

use rustix::{
    fs::{CWD, Mode},
    mount::{MountFlags, MoveMountFlags, OpenTreeFlags, move_mount, open_tree},
};

/// Setup of a child process. All values exist before the fork, because the child must not allocate memory.
#[derive(Clone, Debug, Default)]
pub struct Confinement {
    /// Open `cgroup.procs` files of the groups to join.
    pub join: Vec<RawFd>,
    /// Uid and gid of the child; `None` if the service is not root.
    pub become_user: Option<u32>,
    /// Bind mounts of the workspace and of read-only folders; `None` if the project's uid can traverse their paths.
    pub carry: Option<Carry>,
    /// Resource limits. Each number becomes both the soft limit and the hard limit of the resource.
    pub limits: Vec<(libc::__rlimit_resource_t, u64)>,
    /// Descriptors that bubblewrap inherits besides stdin, stdout and stderr.
    pub keep: Vec<RawFd>,
}

/// Maximum number of mounts: the workspace and read-only folders.
const MAX_MOUNTS: usize = 64;

/// Bind mounts in the child's own mount namespace.
#[derive(Clone, Debug)]
pub struct Carry {
    /// Path at which an empty file system for the mount points is mounted; `None` for a single mount.
    pub below: Option<CString>,
    /// Folders and their mount points.
    pub mounts: Vec<(CString, CString)>,
}

/// OOM score of commands, so that the kernel kills commands before the service.
const OOM_SCORE: &[u8] = b"600";
/// Nice value of commands, so that the service gets processor time first.
const NICENESS: i32 = 5;

impl Confinement {
    pub fn apply_to(self, command: &mut Command) {
        use std::os::unix::process::CommandExt as _;
        // If the child has another parent than this process, the service has ended, and the child must exit.
        let parent = std::process::id();
        let apply = move || self.apply(parent);
        // SAFETY: in the forked child of a multi-threaded program, only async-signal-safe functions may be called.
        // `apply` makes system calls on values that exist since before the fork. It neither allocates nor locks.
        unsafe { command.pre_exec(apply) };
    }

    fn apply(&self, parent: u32) -> io::Result<()> {
        for procs in &self.join {
            // SAFETY: the buffer is valid for its one byte; "0" means the writing process.
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
        // SAFETY: no call touches memory. With SIGXFSZ ignored, a write beyond the file size limit returns an error
        // instead of killing the program. Commands may use huge pages, even if the service does not.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::umask(0o022);
            libc::prctl(libc::PR_SET_THP_DISABLE, 0, 0, 0, 0);
        }
        if let Some(id) = self.become_user {
            // SAFETY: system calls of a single-threaded child; the group list is empty, so its pointer is not read.
            unsafe {
                checked(libc::setgroups(0, std::ptr::null()))?;
                checked(libc::setresgid(id, id, id))?;
                checked(libc::setresuid(id, id, id))?;
            }
        }
        // A change of uid clears the parent-death signal, so the signal is set afterwards.
        unsafe {
            checked(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            if libc::getppid().unsigned_abs() != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        self.close_others()
    }

    fn close_others(&self) -> io::Result<()> {
        // SAFETY: the call only marks descriptors, which exec then closes.
        let marked = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
        checked(marked)?;
        for descriptor in &self.keep {
            // SAFETY: the caller keeps the descriptor open.
            checked(unsafe { libc::fcntl(*descriptor, libc::F_SETFD, 0) })?;
        }
        Ok(())
    }
}

impl Carry {
    pub fn targets(&self) -> Vec<PathBuf> {
        let path = |target: &CString| PathBuf::from(OsStr::from_bytes(target.as_bytes()));
        self.mounts.iter().map(|(_, target)| path(target)).collect()
    }

    fn mount(&self) -> io::Result<()> {
        let none = std::ptr::null::<libc::c_char>();
        // SAFETY: the strings are NUL-terminated and outlive the calls. The kernel does not read the null pointers.
        unsafe {
            checked(libc::unshare(libc::CLONE_NEWNS))?;
            checked(libc::mount(
                none,
                c"/".as_ptr(),
                none,
                libc::MS_REC | libc::MS_SLAVE,
                none.cast(),
            ))?;
        }
        match &self.below {
            Some(below) => self.mount_below(below),
            None => self.mount_one(),
        }
    }

    fn mount_one(&self) -> io::Result<()> {
        for (source, target) in &self.mounts {
            rustix::mount::mount_bind(source.as_c_str(), target.as_c_str())?;
        }
        Ok(())
    }

    /// Mounts the folders inside a new file system at `below`. The new file system can hide the folders, so they are
    /// opened first. If a read-only folder is missing, its mount point stays empty.
    fn mount_below(&self, below: &CStr) -> io::Result<()> {
        let mut opened = [const { None }; MAX_MOUNTS];
        if self.mounts.len() > opened.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        for ((source, _), opened) in self.mounts.iter().zip(&mut opened) {
            *opened = Some(open_tree(CWD, source.as_c_str(), clone));
        }
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        rustix::mount::mount(c"tmpfs", below, c"tmpfs", flags, c"mode=0755,size=64k")?;
        for (number, ((_, target), opened)) in self.mounts.iter().zip(opened).enumerate() {
            rustix::fs::mkdir(target.as_c_str(), Mode::from_raw_mode(0o755))?;
            match opened {
                Some(Ok(tree)) => {
                    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
                    move_mount(&tree, c"", CWD, target.as_c_str(), flags)?;
                }
                Some(Err(errno)) if number == 0 => return Err(errno.into()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Lowers the child's priority for CPU and memory, if the host permits this.
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

/// Sets the soft and the hard limit. The service's own hard limit is the maximum.
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

/// Converts the result of a system call.
pub fn checked(answer: impl Into<i64>) -> io::Result<()> {
    if answer.into() < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
