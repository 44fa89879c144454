//! Measures the memory use of a command on hosts without a memory control group.
//!
//! The meter (`meter`) measures the memory four times a second. The result may be too high, but it must include all
//! memory of the command. The seccomp filter (`seccomp`) refuses system calls that create memory which this module
//! cannot count.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
};

use super::processes::Scope;

/// The tmpfs mounts in a sandbox, relative to its root folder.
const TMPFS: &[&str] = &["tmp", "dev/shm"];
/// Kernel memory in bytes per file on a tmpfs, besides the content of the file: inode, directory entry and name.
const INODE_BYTES: u64 = 2 * 1024;
/// Maximum unread data in a socket, in bytes. By default, a program can request a send buffer of up to 208 KiB
/// (`net.core.wmem_max`), and the kernel doubles the request.
const SOCKET_BYTES: u64 = 416 * 1024;
/// Capacity in bytes that is counted for each pipe. New pipes have this capacity after the user's pipes have reached
/// the kernel's soft limit (`pipe-user-pages-soft`).
const PIPE_BYTES: u64 = 8 * 1024;
/// Number of sockets that are not counted. Ordinary programs have up to a few hundred sockets, and most of these are
/// empty.
const FREE_SOCKETS: u64 = 256;

impl Scope {
    /// Returns the memory that the processes use together, in bytes; `u64::MAX` when they have too many open files to
    /// count. If a quick, high estimate exceeds `limit`, a slower and more exact sum is returned.
    pub fn memory_bytes(&self, limit: u64) -> u64 {
        let members = self.members();
        let beside = self.tmpfs_bytes().saturating_add(Self::buffer_bytes(&members));
        let quick: u64 = members.iter().map(|process| resident_bytes(*process)).sum();
        if quick.saturating_add(beside) <= limit {
            return quick + beside;
        }
        // The quick estimate counts a shared page once per process. The exact sum counts proportional shares.
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
        // If the first process has ended, its pid may belong to another process, so the sum is not used.
        if self.holds_first() { bytes } else { 0 }
    }

    /// Maximum memory in bytes that the sockets and pipes of the processes can use; `u64::MAX` when there are too many
    /// open files to count.
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

/// Memory of a process in bytes. Shared pages count in full.
fn resident_bytes(process: i32) -> u64 {
    let names = ["RssAnon:", "RssShmem:", "VmSwap:", "VmPTE:", "HugetlbPages:"];
    figures(&format!("/proc/{process}/status"), &names).unwrap_or_default()
}

/// Memory of a process in bytes. Of a shared page, only the process's proportional share counts.
fn proportional_bytes(process: i32) -> u64 {
    let names = ["Pss_Anon:", "Pss_Shmem:", "SwapPss:"];
    let shares = figures(&format!("/proc/{process}/smaps_rollup"), &names);
    shares.unwrap_or_else(|| resident_bytes(process))
}

/// Sum in bytes of the lines that start with one of the names; `None` when there is no such line or the file cannot be
/// read.
fn figures(path: &str, names: &[&str]) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let kilobytes = text.lines().filter_map(|line| {
        let size = names.iter().find_map(|name| line.strip_prefix(name))?;
        size.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    kilobytes.reduce(|one, other| one + other).map(|sum| sum * 1024)
}
