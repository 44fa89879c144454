//! Free space on a folder's disk, and errors that the disk causes.

use std::{
    borrow::Cow,
    io::{self, ErrorKind as IoErrorKind},
    path::Path,
};

use rustix::io::Errno;

use crate::error::{Error, ErrorKind};

/// The reserve of free space never exceeds the disk size divided by this number.
const LARGEST_PART: u64 = 20;

/// Converts an I/O error. If the disk is the cause, the kind is `Unavailable`, because a later retry may succeed.
/// Otherwise, the kind is `Internal`.
pub fn fault(what: impl Into<Cow<'static, str>>, error: io::Error) -> Error {
    let is_disk = matches!(
        error.kind(),
        IoErrorKind::StorageFull | IoErrorKind::QuotaExceeded | IoErrorKind::ReadOnlyFilesystem
    ) || Errno::from_io_error(&error) == Some(Errno::IO);
    if is_disk {
        let message = "the server's disk is temporarily unavailable; retry later";
        Error::new(ErrorKind::Unavailable, message).caused_by(error)
    } else {
        Error::internal(what, error)
    }
}

/// Returns the free bytes of the disk that contains a folder; `None` if they are unknown.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Returns whether the reserve stays free after a write of `more` bytes. The reserve is `min_free_bytes`, or 5 % of
/// the disk if that is less. If the free space is unknown, returns true.
pub fn has_room(folder: &Path, min_free_bytes: u64, more: u64) -> bool {
    let Ok(disk) = rustix::fs::statvfs(folder) else {
        return true;
    };
    let total = disk.f_blocks.saturating_mul(disk.f_frsize);
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let reserve = min_free_bytes.min(total / LARGEST_PART);
    free.saturating_sub(more) >= reserve && free >= more
}
