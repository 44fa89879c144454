//! The data folder: who may enter it, and who may read what lies in it.
//!
//! Called at start by everything that keeps files there. Whoever reads the database or the secret can act as any user of the
//! service, and a process that has escaped from a sandbox is an ordinary user of the host. So files are 0600 and folders 0700,
//! whatever the umask is. When the service is root, the commands of a project run as another user, who has to reach the
//! workspace: then the folders on the way to it are 0711, which lets others pass through but not look.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::Path,
};

use tracing::warn;

use crate::{
    config::Config,
    error::{Code, Error, Result},
};

/// Where the workspaces lie, in the data folder.
pub const WORKSPACES: &str = "workspaces";
/// Where uploads lie until a run takes them, in the data folder.
pub const UPLOADS: &str = "uploads";
/// The SQLite database, in the data folder.
pub const DATABASE: &str = "runyard.db";
/// The file that one process locks, in the data folder.
pub const LOCK: &str = "lock";

/// What shows that a folder is used as a data folder and for nothing else.
const MARKS: &[&str] = &[DATABASE, LOCK, "jwt.secret", WORKSPACES, UPLOADS];
/// Files that others may have been able to read in earlier versions. The secret is not among them: one that others may read
/// stops the start.
const FILES: &[&str] = &[DATABASE, "runyard.db-wal", "runyard.db-shm", LOCK];
/// What the group and others may do with a file or a folder besides passing through it.
const READ_OR_WRITE: u32 = 0o066;

/// Makes the data folder with the folders in it, and closes to others what an earlier version has left open.
///
/// # Errors
/// Those of the file system.
pub fn prepare(folder: &Path) -> io::Result<()> {
    let mode = if rustix::process::geteuid().is_root() {
        0o711
    } else {
        0o700
    };
    if folder.is_dir() {
        close_existing(folder, mode)?;
    } else {
        make(folder, mode)?;
    }
    for (name, mode) in [(WORKSPACES, mode), (UPLOADS, 0o700)] {
        let inner = folder.join(name);
        if inner.is_dir() {
            close(&inner, mode)?;
        } else {
            make(&inner, mode)?;
        }
    }
    for name in FILES {
        match close(&folder.join(name), 0o600) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            closed => closed?,
        }
    }
    Ok(())
}

/// As [`prepare`], for the folder of a configuration.
///
/// # Errors
/// UNAVAILABLE, naming the folder.
pub fn prepare_for(config: &Config) -> Result<()> {
    prepare(&config.data_dir).map_err(|error| {
        let message = format!("cannot use the data folder {}: {error}", config.data_dir.display());
        Error::new(Code::Unavailable, message)
    })
}

fn make(folder: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().recursive(true).mode(mode).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // The umask may have taken away more.
        created => created.and_then(|()| fs::set_permissions(folder, Permissions::from_mode(mode))),
    }
}

/// Takes away what the group and others may do beyond a mode; what belongs to another user stays as it is.
fn close(path: &Path, mode: u32) -> io::Result<()> {
    let facts = fs::symlink_metadata(path)?;
    let (now, owner) = (facts.mode() & 0o7777, facts.uid());
    let closed = now & (mode | 0o7700);
    if closed == now || facts.is_symlink() || owner != rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(closed))
}

/// An existing folder may be one that others use for something else: then it stays as it is, with a warning.
fn close_existing(folder: &Path, mode: u32) -> io::Result<()> {
    let is_ours = MARKS.iter().any(|mark| folder.join(mark).exists()) || fs::read_dir(folder)?.next().is_none();
    if is_ours {
        return close(folder, mode);
    }
    let mode = fs::metadata(folder)?.mode();
    if mode & READ_OR_WRITE != 0 {
        warn!(
            data_dir = %folder.display(),
            mode = format!("{:o}", mode & 0o777),
            "other users may list or change the data folder, which holds other files, too: give Runyard a folder for itself"
        );
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn passable() -> u32 {
        u32::from(rustix::process::geteuid().is_root()) * 0o011
    }

    #[test]
    fn a_new_folder_is_closed() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("a/data");
        prepare(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700 | passable());
        assert_eq!(mode(&folder.join(WORKSPACES)), 0o700 | passable());
        assert_eq!(mode(&folder.join(UPLOADS)), 0o700);
        prepare(&folder).unwrap();
    }

    #[test]
    fn what_an_earlier_version_left_open_is_closed() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("data");
        fs::create_dir_all(folder.join(WORKSPACES)).unwrap();
        fs::create_dir_all(folder.join(UPLOADS)).unwrap();
        for name in FILES {
            fs::write(folder.join(name), "").unwrap();
            set_mode(&folder.join(name), 0o644);
        }
        for path in [&folder, &folder.join(WORKSPACES), &folder.join(UPLOADS)] {
            set_mode(path, 0o755);
        }
        prepare(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700 | passable());
        assert_eq!(mode(&folder.join(WORKSPACES)), 0o700 | passable());
        assert_eq!(mode(&folder.join(UPLOADS)), 0o700);
        for name in FILES {
            assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
        }
    }

    #[test]
    fn a_stricter_folder_stays_strict_and_a_shared_one_as_it_is() {
        let strict = tempfile::tempdir().unwrap();
        set_mode(strict.path(), 0o700);
        prepare(strict.path()).unwrap();
        assert_eq!(mode(strict.path()), 0o700);
        let shared = tempfile::tempdir().unwrap();
        fs::write(shared.path().join("somebody-elses"), "").unwrap();
        set_mode(shared.path(), 0o755);
        prepare(shared.path()).unwrap();
        assert_eq!(mode(shared.path()), 0o755);
    }
}
