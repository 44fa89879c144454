//! The lock of the data folder. The lock keeps other processes out, because leases and the writer thread
//! (`db/lane.rs`) assume a single process.
//!
//! A child process inherits the lock and holds it from fork until exec. The child may therefore hold the lock for a
//! moment after its parent has ended, so this module retries for three seconds.

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

const ATTEMPTS: u32 = 60;
const PAUSE: Duration = Duration::from_millis(50);

pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(data_folder::LOCK)
}

/// Creates the folder if it is missing. The lock is held until the returned file is closed.
///
/// # Errors
/// UNAVAILABLE if another process holds the lock or the folder cannot be used.
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
                    "another runyard process uses the data folder {}; stop it, or choose another folder with RUNYARD_DATA_DIR",
                    data_dir.display()
                );
                return Err(Error::new(Code::Unavailable, message));
            }
        }
    }
}
