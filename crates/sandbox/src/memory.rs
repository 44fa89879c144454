//! Measures a command's memory on hosts without a memory control group.
//!
//! The result may be too high, but never too low. System calls whose memory this module cannot count are refused by
//! the seccomp filter (`seccomp`).

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
};

use super::processes::Scope;

/// The tmpfs mounts in a sandbox, relative to its root folder.
const TMPFS: &[&str] = &["tmp", "dev/shm"];
/// Kernel memory in bytes per tmpfs file, besides its content: inode, directory entry and name.
const INODE_BYTES: u64 = 2 * 1024;
/// Maximum unread data in a socket, in bytes. The kernel doubles the largest send buffer that a program can request,
/// 208 KiB (`net.core.wmem_max`).
const SOCKET_BYTES: u64 = 416 * 1024;
/// Capacity counted for each pipe, in bytes. New pipes have this capacity once the user's pipes exceed
/// `pipe-user-pages-soft`.
const PIPE_BYTES: u64 = 8 * 1024;
/// Number of sockets that are not counted. Ordinary programs have up to a few hundred sockets, most of them empty.
const FREE_SOCKETS: u64 = 256;

impl Scope {
    /// Returns the memory that all processes use together, in bytes. If a quick, high estimate exceeds `limit`, a
    /// slower and more exact sum is returned. `u64::MAX` means that there are too many open files to count.
    pub fn memory_bytes(&self, limit: u64) -> u64 {
        let members = self.members();
        let beside = self.tmpfs_bytes().saturating_add(Self::buffer_bytes(&members));
        let quick: u64 = members.iter().map(|process| resident_bytes(*process)).sum();
        if quick.saturating_add(beside) <= limit {
            return quick + beside;
        }
        // The quick estimate counts a shared page once per process that maps it.
        let fair: u64 = members.iter().map(|process| proportional_bytes(*process)).sum();
        fair.saturating_add(beside)
    }

    fn tmpfs_bytes(&self) -> u64 {
        let used = |folder: &&str| {
            let disk = rustix::fs::statvfs(format!("/proc/{}/root/{folder}", self.first)).ok()?;
            let content = disk.f_blocks.saturating_sub(disk.f_bfree).saturating_mul(disk.f_frsize);
            let inodes = disk.f_files.saturating_sub(disk.f_ffree).saturating_mul(INODE_BYTES);
            Some(content.saturating_add(inodes))
        };
        let bytes = TMPFS.iter().filter_map(used).sum();
        // If the first process has ended, another process may have its pid, so the sum is not used.
        if self.holds_first() { bytes } else { 0 }
    }

    /// Maximum memory of the processes' sockets and pipes in bytes; `u64::MAX` if there are too many open files to
    /// count.
    fn buffer_bytes(members: &[i32]) -> u64 {
        let (mut sockets, mut pipes) = (HashSet::new(), HashSet::new());
        let is_complete = Self::each_open_file(members, |file| {
            if file.file_type().is_socket() {
                sockets.insert(file.ino());
            } else if file.file_type().is_fifo() {
                pipes.insert(file.ino());
            }
        });
        if !is_complete {
            return u64::MAX;
        }
        let sockets = (sockets.len() as u64).saturating_sub(FREE_SOCKETS);
        sockets * SOCKET_BYTES + pipes.len() as u64 * PIPE_BYTES
    }
}

/// Memory of a process in bytes. A shared page counts in full.
fn resident_bytes(process: i32) -> u64 {
    let names = ["RssAnon:", "RssShmem:", "VmSwap:", "VmPTE:", "HugetlbPages:"];
    figures(&format!("/proc/{process}/status"), &names).unwrap_or_default()
}

/// Memory of a process in bytes. A shared page is divided by the number of processes that map it.
fn proportional_bytes(process: i32) -> u64 {
    let names = ["Pss_Anon:", "Pss_Shmem:", "SwapPss:"];
    let shares = figures(&format!("/proc/{process}/smaps_rollup"), &names);
    shares.unwrap_or_else(|| resident_bytes(process))
}

/// Sum in bytes of the lines that start with one of the names; `None` if the file has no such line or cannot be read.
fn figures(path: &str, names: &[&str]) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let kilobytes = text.lines().filter_map(|line| {
        let size = names.iter().find_map(|name| line.strip_prefix(name))?;
        size.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    kilobytes.reduce(|one, other| one + other).map(|sum| sum * 1024)
}
