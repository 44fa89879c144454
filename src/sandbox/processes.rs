//! The processes of a running sandbox, seen from the host.
//!
//! Used by `execute` to end them politely and by the meter. Whatever lists them, a process is only touched when it is in
//! the sandbox's pid namespace at that moment and through a pidfd: a number may have become somebody else's.

use std::{
    collections::HashMap,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, PidfdFlags, Signal};

/// Descriptors looked at in one round of the meter.
const MAX_DESCRIPTORS: usize = 20_000;

/// How to find the processes of one sandbox.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The inode of the pid namespace.
    pub namespace: u64,
    /// The host's number of the first process in it.
    pub first: i32,
    /// The control group's list; all of /proc is read when there is none.
    pub list: Option<PathBuf>,
}

impl Scope {
    /// The processes, with the first.
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

    /// Asks all processes but the first to end; the first is no program of the command's and ends with the last.
    pub fn terminate(&self) {
        for process in self.members() {
            if process != self.first {
                self.signal(process, Signal::TERM);
            }
        }
    }

    /// Whether the first process is what it was.
    pub fn holds_first(&self) -> bool {
        self.holds(self.first)
    }

    fn signal(&self, process: i32, signal: Signal) {
        let Some(pid) = Pid::from_raw(process) else { return };
        if let Ok(descriptor) = rustix::process::pidfd_open(pid, PidfdFlags::empty())
            && self.holds(process)
        {
            // Fails when it has ended in between, which is what was wanted.
            let _ = rustix::process::pidfd_send_signal(descriptor, signal);
        }
    }

    /// The bytes on disk of files that are deleted but still open: the command's way to fill a disk with no file to be seen.
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

    /// Looks at the open files of processes. Returns false when there are more than can be looked at.
    pub(super) fn each_open_file(members: &[i32], mut look: impl FnMut(&Metadata)) -> bool {
        let mut left = MAX_DESCRIPTORS;
        for process in members {
            let entries = fs::read_dir(format!("/proc/{process}/fd"));
            for entry in entries.into_iter().flatten().flatten() {
                if left == 0 {
                    return false;
                }
                left -= 1;
                // Follows to the open file itself.
                if let Ok(file) = fs::metadata(entry.path()) {
                    look(&file);
                }
            }
        }
        true
    }
}
