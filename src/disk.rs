//! Free space on the data folder's disk.
//!
//! New files and runs are refused before the disk is full. The rest of the disk is a reserve for the database and for
//! accepted runs.

use std::path::{Path, PathBuf};

use runyard_sandbox::disk::{free_bytes, has_room};

use crate::error::{Code, Error, Result};

/// The disk that contains a folder, and the size of the reserve.
#[derive(Clone, Debug)]
pub struct Disk {
    folder: PathBuf,
    min_free_bytes: u64,
}

impl Disk {
    pub fn new(folder: &Path, min_free_bytes: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            min_free_bytes,
        }
    }

    /// `None` if the free space is unknown.
    pub fn free_bytes(&self) -> Option<u64> {
        free_bytes(&self.folder)
    }

    /// Checks that the reserve stays free after a write of `more` bytes.
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
