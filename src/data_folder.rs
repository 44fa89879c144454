//! The data folder and its access rights.
//!
//! The folder contains the database and the secret that signs tokens. A process that can read one of them can act as
//! any account. Files therefore have mode 0600 and folders 0700, whatever the umask is. Even a process that escapes
//! from a sandbox cannot read them, if it runs as another user.
//!
//! If the service runs as root, the commands of a project run as another user. The folders on the path to the
//! workspace then have mode 0711: other users can traverse them but not list them.

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

pub const WORKSPACES: &str = "workspaces";
pub const UPLOADS: &str = "uploads";
pub const SKILLS: &str = "skills";
pub const DATABASE: &str = "runyard.db";
/// The running process locks this file.
pub const LOCK: &str = "lock";

/// Names whose presence marks a folder as a data folder.
const MARKS: &[&str] = &[DATABASE, LOCK, "jwt.secret", "secrets.key", WORKSPACES, UPLOADS];
/// Files that earlier versions may have created readable for other users. The secret is not listed: if other users
/// can read the secret, the server refuses to start.
const FILES: &[&str] = &[DATABASE, "runyard.db-wal", "runyard.db-shm", LOCK];
/// Permission bits that let the group and other users read or write.
const READ_OR_WRITE: u32 = 0o066;

/// Creates the data folder with its subfolders. Removes other users' access to files that an earlier version created.
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
    for (name, mode) in [(WORKSPACES, mode), (UPLOADS, 0o700), (SKILLS, mode)] {
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

/// Fails with UNAVAILABLE and a message that names the folder.
pub fn prepare_for(config: &Config) -> Result<()> {
    prepare(&config.data_dir).map_err(|error| {
        let message = format!("cannot use the data folder {}: {error}", config.data_dir.display());
        Error::new(Code::Unavailable, message)
    })
}

fn make(folder: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().recursive(true).mode(mode).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // The umask may have removed permission bits.
        created => created.and_then(|()| fs::set_permissions(folder, Permissions::from_mode(mode))),
    }
}

/// Takes from the group and from other users all permissions that `mode` does not grant. Symbolic links, and files
/// that another user owns, stay unchanged.
fn close(path: &Path, mode: u32) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    let (now, owner) = (metadata.mode() & 0o7777, metadata.uid());
    let closed = now & (mode | 0o7700);
    if closed == now || metadata.is_symlink() || owner != rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(closed))
}

/// A folder that seems to serve another purpose keeps its mode. If other users can read or write it, a warning is
/// logged.
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
            "other users can access the data folder, and its mode is unchanged because it contains other files: give Runyard its own folder"
        );
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
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
    fn a_new_folder_is_private() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("a/data");
        prepare(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700 | passable());
        assert_eq!(mode(&folder.join(WORKSPACES)), 0o700 | passable());
        assert_eq!(mode(&folder.join(UPLOADS)), 0o700);
        prepare(&folder).unwrap();
    }

    #[test]
    fn files_left_readable_by_an_earlier_version_become_private() {
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
    fn a_stricter_mode_is_kept_and_a_shared_folder_is_unchanged() {
        let strict = tempfile::tempdir().unwrap();
        set_mode(strict.path(), 0o700);
        prepare(strict.path()).unwrap();
        assert_eq!(mode(strict.path()), 0o700);
        let shared = tempfile::tempdir().unwrap();
        fs::write(shared.path().join("other-file"), "").unwrap();
        set_mode(shared.path(), 0o755);
        prepare(shared.path()).unwrap();
        assert_eq!(mode(shared.path()), 0o755);
    }
}
