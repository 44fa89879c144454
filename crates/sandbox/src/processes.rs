//! Finds the processes of a running sandbox from outside the sandbox.
//!
//! A listed pid may be reused by another process. A signal is therefore sent only through a pidfd, after a check that
//! the process is in the sandbox's pid namespace.

use std::{
    collections::HashMap,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, PidfdFlags, Signal};

/// Maximum number of open files that one measurement checks.
const MAX_DESCRIPTORS: usize = 20_000;

#[derive(Clone, Debug)]
pub struct Scope {
    /// Inode of the pid namespace.
    pub namespace: u64,
    /// Host pid of the first process in the namespace.
    pub first: i32,
    /// File that lists the processes of the control group. Without a control group, this is `None` and all of /proc
    /// is scanned.
    pub list: Option<PathBuf>,
}

impl Scope {
    pub(super) fn members(&self) -> Vec<i32> {
        let listed: Vec<i32> = match &self.list {
            Some(list) => {
                let text = fs::read_to_string(list).unwrap_or_default();
                text.lines().filter_map(|line| line.parse().ok()).collect()
            }
            None => fs::read_dir("/proc")
                .into_iter()
                .flatten()
                .flatten()
                .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
                .collect(),
        };
        listed.into_iter().filter(|process| self.holds(*process)).collect()
    }

    fn holds(&self, process: i32) -> bool {
        fs::metadata(format!("/proc/{process}/ns/pid")).is_ok_and(|namespace| namespace.ino() == self.namespace)
    }

    /// Sends SIGTERM to all processes except the first. The first process ends by itself after the others.
    pub fn terminate(&self) {
        for process in self.members() {
            if process != self.first {
                self.signal(process, Signal::TERM);
            }
        }
    }

    pub fn holds_first(&self) -> bool {
        self.holds(self.first)
    }

    fn signal(&self, process: i32, signal: Signal) {
        let Some(pid) = Pid::from_raw(process) else { return };
        if let Ok(descriptor) = rustix::process::pidfd_open(pid, PidfdFlags::empty())
            && self.holds(process)
        {
            // An error means that the process has already ended.
            let _ = rustix::process::pidfd_send_signal(descriptor, signal);
        }
    }

    /// Disk space in bytes of deleted files that processes still have open. The workspace's folder tree does not
    /// contain these files.
    pub fn deleted_bytes(&self, workspace: &Path) -> u64 {
        let Ok(device) = fs::metadata(workspace).map(|folder| folder.dev()) else {
            return 0;
        };
        let mut sizes = HashMap::new();
        Self::each_open_file(&self.members(), |file| {
            if file.nlink() == 0 && file.is_file() && file.dev() == device {
                sizes.insert(file.ino(), file.blocks() * 512);
            }
        });
        sizes.values().sum()
    }

    /// Calls `look` for each open file of the processes. Returns false if the processes have more than
    /// [`MAX_DESCRIPTORS`] open files.
    pub(super) fn each_open_file(members: &[i32], mut look: impl FnMut(&Metadata)) -> bool {
        let mut left = MAX_DESCRIPTORS;
        for process in members {
            let entries = fs::read_dir(format!("/proc/{process}/fd"));
            for entry in entries.into_iter().flatten().flatten() {
                if left == 0 {
                    return false;
                }
                left -= 1;
                // `metadata` follows the link in `fd` to the open file.
                if let Ok(file) = fs::metadata(entry.path()) {
                    look(&file);
                }
            }
        }
        true
    }
}
