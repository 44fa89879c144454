//! Free space on the disk of the data folder.
//!
//! A part of the disk is reserved for the database and for the runs that have started: files and new runs are refused before
//! the disk is full, so that what was accepted can be finished.

use std::{
    borrow::Cow,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use crate::error::{Code, Error, Result};

/// A small disk is not reserved whole: the reserve is no more than this part of it.
const LARGEST_PART: u64 = 20;

/// The disk of a folder, and the space that stays free on it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Disk {
    folder: PathBuf,
    min_free_bytes: u64,
}

impl Disk {
    /// The disk that a folder lies on.
    pub fn new(folder: &Path, min_free_bytes: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            min_free_bytes,
        }
    }

    /// Refuses `more` bytes that would use up the reserve; zero asks whether the reserve is there now.
    ///
    /// # Errors
    /// UNAVAILABLE when too little would stay free.
    pub fn check(&self, more: u64) -> Result<()> {
        if has_room(&self.folder, self.min_free_bytes, more) {
            return Ok(());
        }
        let message = "the server's disk is almost full; try again when the operator has made room";
        Err(Error::new(Code::Unavailable, message))
    }
}

/// What became of an operation on files that failed: UNAVAILABLE when the disk is to blame, as it may be better later, else
/// our fault.
pub fn fault(what: impl Into<Cow<'static, str>>, error: io::Error) -> Error {
    let is_disk = matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem
    ) || Errno::from_io_error(&error) == Some(Errno::IO);
    if is_disk {
        let message = "the server's disk cannot be used now; try again later";
        Error::new(Code::Unavailable, message).caused_by(error)
    } else {
        Error::internal(what, error)
    }
}

/// Whether `more` bytes fit on the disk of a folder without using up the reserve. A disk that does not say is taken to have room.
pub fn has_room(folder: &Path, min_free_bytes: u64, more: u64) -> bool {
    let Ok(disk) = rustix::fs::statvfs(folder) else {
        return true;
    };
    let total = disk.f_blocks.saturating_mul(disk.f_frsize);
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let reserve = min_free_bytes.min(total / LARGEST_PART);
    free.saturating_sub(more) >= reserve && free >= more
}
