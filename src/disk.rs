//! Free space on the data folder's disk.
//!
//! A part of the disk is reserved for the database and for active runs. New files and runs are refused before the disk
//! is full, so that accepted runs can finish.

use std::{
    borrow::Cow,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use crate::error::{Code, Error, Result};

/// Limits the reserve on small disks: it is at most 1/`LARGEST_PART` of the disk.
const LARGEST_PART: u64 = 20;

/// The disk of a folder, with the size of the reserve. It is cheap to clone.
#[derive(Clone, Debug)]
pub struct Disk {
    folder: PathBuf,
    min_free_bytes: u64,
}

impl Disk {
    /// Creates a handle to the disk that contains a folder.
    pub fn new(folder: &Path, min_free_bytes: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            min_free_bytes,
        }
    }

    /// Checks that the reserve stays free after a write of `more` bytes. Zero checks the current state.
    ///
    /// # Errors
    /// UNAVAILABLE if too little space would be left.
    pub fn check(&self, more: u64) -> Result<()> {
        if has_room(&self.folder, self.min_free_bytes, more) {
            return Ok(());
        }
        let message = "the server's disk is almost full; retry when the operator has freed some space";
        Err(Error::new(Code::Unavailable, message))
    }
}

/// Converts an I/O error. If the disk is the cause, the code is UNAVAILABLE, because a later retry may succeed.
/// Otherwise the code is INTERNAL.
pub fn fault(what: impl Into<Cow<'static, str>>, error: io::Error) -> Error {
    let is_disk = matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem
    ) || Errno::from_io_error(&error) == Some(Errno::IO);
    if is_disk {
        let message = "the server's disk is temporarily unavailable; retry later";
        Error::new(Code::Unavailable, message).caused_by(error)
    } else {
        Error::internal(what, error)
    }
}

/// Returns true if a write of `more` bytes leaves the reserve of a folder's disk free, or if the free space is unknown.
pub fn has_room(folder: &Path, min_free_bytes: u64, more: u64) -> bool {
    let Ok(disk) = rustix::fs::statvfs(folder) else {
        return true;
    };
    let total = disk.f_blocks.saturating_mul(disk.f_frsize);
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let reserve = min_free_bytes.min(total / LARGEST_PART);
    free.saturating_sub(more) >= reserve && free >= more
}
