//! Moves finished uploads into a workspace by renaming, without a copy.

use std::{os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{CWD, Mode, OFlags, RenameFlags},
    io::Errno,
};

use super::{
    beneath::{Root, look, metadata, refusal, relative},
    workspace::{FileKind, Workspace, is_temporary, split},
};
use crate::{
    disk,
    error::{Error, ErrorKind, Result},
};

impl Workspace {
    /// Moves a finished upload to the given name. Succeeds if the upload was already moved, so that the caller can
    /// repeat the call after a crash.
    ///
    /// # Errors
    /// CONFLICT when another file has the name; `FILE_NOT_FOUND` when neither the upload nor a file with the name
    /// exists; `INVALID_REQUEST` when `final_name` is not a plain file name.
    pub fn place_as(&self, host_file: &Path, final_name: &str) -> Result<()> {
        let name = relative(final_name)?;
        if name.is_empty() || name.contains('/') {
            return Err(Error::invalid(format!("{final_name:?} is not a file name")));
        }
        let root = self.root()?;
        match self.move_in(&root, host_file, &name) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(Error::new(
                ErrorKind::Conflict,
                format!("a file named {name:?} already exists"),
            )),
            Err(Errno::NOENT) => {
                // If a file with this name exists, an earlier or concurrent call moved the upload.
                let found = look(root.folder(), name.as_bytes());
                found.map(drop).map_err(|errno| refusal(name.as_bytes(), errno))
            }
            Err(errno) => Err(failed(errno)),
        }
    }

    /// Moves a finished upload to a path, and creates missing parent folders. An existing file or symbolic link is
    /// replaced atomically.
    ///
    /// # Errors
    /// `INVALID_REQUEST` for a path that cannot be a file; `UPLOAD_NOT_FOUND` when the upload does not exist.
    pub fn place_at(&self, host_file: &Path, path: &str) -> Result<()> {
        let path = relative(path)?;
        let (parent, name) = split(&path)?;
        if path.split('/').any(|part| is_temporary(part.as_bytes())) {
            return Err(Error::invalid_field(
                "path",
                format!("{path:?} contains a name that the service reserves; choose another name"),
            ));
        }
        let root = self.root()?;
        let folder = self.make_folders(&root, parent)?;
        let mode = match look(&folder, name.as_bytes()).map(|stat| metadata(&stat)) {
            Ok(found) if found.kind == FileKind::Folder => return Err(refusal(path.as_bytes(), Errno::ISDIR)),
            Ok(found) if found.kind == FileKind::File => Mode::from_raw_mode(found.mode & 0o777),
            _ => Mode::from_raw_mode(0o644),
        };
        let file = match open_upload(host_file) {
            Err(Errno::NOENT) => return Err(Error::new(ErrorKind::UploadNotFound, "Upload not found")),
            opened => opened.map_err(failed)?,
        };
        rustix::fs::fchmod(&file, mode).map_err(failed)?;
        self.hand_over(&file).map_err(failed)?;
        rustix::fs::renameat(CWD, host_file, &folder, name).map_err(|errno| match errno {
            // A folder was created at the path after the check above.
            Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST => refusal(path.as_bytes(), Errno::ISDIR),
            errno => failed(errno),
        })?;
        // The upload's database row is already deleted, so the file must survive a power failure.
        rustix::fs::fsync(&folder).map_err(failed)
    }

    /// Syncs the workspace folder, so that files moved into it survive a power failure.
    ///
    /// # Errors
    /// File-system errors.
    pub fn sync(&self) -> Result<()> {
        rustix::fs::fsync(self.root()?.folder()).map_err(failed)
    }

    /// Moves a file into the workspace unless the name exists. The owner is set first, so the project never sees a
    /// file of another owner.
    fn move_in(&self, root: &Root, host_file: &Path, name: &str) -> rustix::io::Result<()> {
        let file = open_upload(host_file)?;
        if metadata(&rustix::fs::fstat(&file)?).kind != FileKind::File {
            return Err(Errno::INVAL);
        }
        rustix::fs::fchmod(&file, Mode::from_raw_mode(0o644))?;
        self.hand_over(&file)?;
        rustix::fs::renameat_with(CWD, host_file, root.folder(), name, RenameFlags::NOREPLACE)
    }
}

fn open_upload(host_file: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, host_file, flags, Mode::empty())
}

fn failed(errno: Errno) -> Error {
    disk::fault("the upload cannot be moved into the workspace", errno.into())
}
