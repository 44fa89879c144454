//! The lock of the data folder, which keeps a second process away: its leases and its writer lane assume that there is none.
//!
//! A child of a process that has ended holds the lock, too, for the moment between fork and exec, so it is tried for a second.

use std::{
    fs::{File, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::sleep;

use crate::{
    data_folder,
    error::{Code, Error, Result},
};

/// How often, and after which pause, the lock is tried.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// The lock file of a data folder.
pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(data_folder::LOCK)
}

/// Takes the lock of a data folder, which is made when it is not there; held for as long as the file is open.
///
/// # Errors
/// UNAVAILABLE, when another process has it, or the folder cannot be used.
pub(super) async fn take(data_dir: &Path) -> Result<File> {
    let fault = |error: std::io::Error| {
        Error::new(
            Code::Unavailable,
            format!("cannot use the data folder {}: {error}", data_dir.display()),
        )
    };
    data_folder::prepare(data_dir).map_err(fault)?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path(data_dir))
        .map_err(fault)?;
    let mut attempt = 1;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::Error(error)) => return Err(fault(error)),
            Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => {
                attempt += 1;
                sleep(PAUSE).await;
            }
            Err(TryLockError::WouldBlock) => {
                let message = format!(
                    "another runyard uses the data folder {}; stop it or name another with RUNYARD_DATA_DIR",
                    data_dir.display()
                );
                return Err(Error::new(Code::Unavailable, message));
            }
        }
    }
}
