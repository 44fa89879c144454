//! Opens files inside a workspace and nowhere else.
//!
//! The kernel resolves every path with `RESOLVE_BENEATH`, `NO_SYMLINKS` and `NO_MAGICLINKS`. A separate check of the
//! path would be a race. Between the check and the open, a command could replace a folder with a link.

use std::{
    fs::File,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};

use super::{
    spelling,
    workspace::{FileKind, Metadata},
};
use crate::{
    disk,
    error::{Error, ErrorKind, Result},
};

/// Path of the workspace inside the sandbox.
pub const GUEST_FOLDER: &str = "/workspace";
/// Maximum bytes of a path: the kernel's limit of 4096 bytes, minus a reserve.
pub const MAX_PATH_BYTES: usize = 4000;
/// Maximum number of attempts of `openat2`. With `RESOLVE_BENEATH`, any concurrent rename on the host can cause
/// EAGAIN.
const TRIES: usize = 64;

/// Returns the path relative to the workspace, without extra slashes; empty for the workspace itself.
///
/// # Errors
/// `INVALID_REQUEST` for a path that leaves the workspace, is too long, or contains `..` or NUL.
pub fn relative(path: &str) -> Result<String> {
    if path.contains('\0') {
        return Err(Error::invalid_field("path", "a path must not contain NUL"));
    }
    let beneath = match path.strip_prefix(GUEST_FOLDER) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        _ if path.starts_with('/') => {
            return Err(Error::invalid_field(
                "path",
                format!("{path:?} is outside {GUEST_FOLDER}; only files inside it can be accessed"),
            ));
        }
        _ => path,
    };
    let mut parts = Vec::new();
    for part in beneath.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(Error::invalid_field("path", "a path must not contain \"..\"")),
            part if part.len() > 255 => {
                return Err(Error::invalid_field("path", "a file name can have up to 255 bytes"));
            }
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    if joined.len() > MAX_PATH_BYTES {
        return Err(Error::invalid_field(
            "path",
            format!("a path can have up to {MAX_PATH_BYTES} bytes"),
        ));
    }
    Ok(joined)
}

/// An open workspace folder, from which paths are resolved.
#[derive(Debug)]
pub struct Root {
    folder: OwnedFd,
}

impl Root {
    /// Opens the workspace at a trusted path whose last component is not a link.
    pub fn open(folder: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(CWD, folder, flags, Mode::empty()) {
            Ok(folder) => Ok(Self { folder }),
            Err(Errno::NOENT) => Err(Error::new(ErrorKind::FileNotFound, "the workspace does not exist")),
            Err(errno) => Err(disk::fault("the workspace cannot be opened", errno.into())),
        }
    }

    pub fn folder(&self) -> &OwnedFd {
        &self.folder
    }

    pub fn open_at(&self, path: impl AsRef<[u8]>, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        open_beneath(&self.folder, path.as_ref(), flags)
    }

    pub fn open_folder(&self, path: impl AsRef<[u8]>) -> rustix::io::Result<OwnedFd> {
        open_folder(&self.folder, path.as_ref())
    }

    /// Opens a regular file for reading, without blocking on pipes or file leases.
    pub fn open_regular(&self, path: impl AsRef<[u8]>) -> Result<File> {
        let path = path.as_ref();
        let file = self
            .open_at(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)
            .map_err(|errno| refusal(path, errno))?;
        let stat = rustix::fs::fstat(&file).map_err(|errno| refusal(path, errno))?;
        match metadata(&stat).kind {
            FileKind::File => Ok(File::from(file)),
            FileKind::Folder => Err(Error::invalid_field("path", format!("{} is a folder", shown(path)))),
            FileKind::Link | FileKind::Other => Err(irregular(path)),
        }
    }
}

/// Opens a path inside a folder, without following links.
pub fn open_beneath(folder: impl AsFd, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = if path.is_empty() { b".".as_slice() } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let mut tries = TRIES;
    loop {
        match rustix::fs::openat2(&folder, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) if tries > 0 => tries -= 1,
            answer => return answer,
        }
    }
}

/// Opens a folder for reading. If the folder's mode denies reading, the mode becomes 0700. Without this change,
/// `chmod 000` would hide files from the measurement of disk usage and prevent the removal of the workspace.
pub fn open_folder(folder: impl AsFd, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
    match open_beneath(&folder, path, flags) {
        Err(Errno::ACCESS) => {
            open_up(&folder, path)?;
            open_beneath(&folder, path, flags)
        }
        answer => answer,
    }
}

/// Sets the mode of a folder to 0700. The folder is opened first, because a command could replace the path with a
/// link.
pub fn open_up(folder: impl AsFd, path: &[u8]) -> rustix::io::Result<()> {
    let closed = open_beneath(&folder, path, OFlags::PATH | OFlags::DIRECTORY)?;
    rustix::fs::chmod(format!("/proc/self/fd/{}", closed.as_raw_fd()), Mode::RWXU)
}

/// Returns the status of a file, folder or link. A link is not followed.
pub fn look(folder: impl AsFd, name: &[u8]) -> rustix::io::Result<Stat> {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
}

pub fn names(folder: impl AsFd, limit: usize) -> rustix::io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            if names.len() == limit {
                break;
            }
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

/// Converts a status to metadata. A modification time before 1970 becomes 1970-01-01.
#[expect(
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    reason = "the types differ between architectures; sizes are not negative"
)]
pub fn metadata(stat: &Stat) -> Metadata {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Folder,
        FileType::Symlink => FileKind::Link,
        _ => FileKind::Other,
    };
    let modified = u64::try_from(stat.st_mtime as i64)
        .ok()
        .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        .and_then(|time| time.checked_add(Duration::from_nanos(stat.st_mtime_nsec as u64)))
        .unwrap_or(SystemTime::UNIX_EPOCH);
    Metadata {
        kind,
        size: stat.st_size as u64,
        modified,
        mode: stat.st_mode & 0o7777,
    }
}

pub fn shown(path: &[u8]) -> String {
    let text = spelling::text_of(path);
    if text.is_empty() {
        GUEST_FOLDER.to_owned()
    } else {
        format!("{text:?}")
    }
}

fn irregular(path: &[u8]) -> Error {
    Error::invalid_field("path", format!("{} is not a regular file", shown(path)))
}

/// Converts a failed system call to an error. The message names the path, except for a failure of the disk.
pub fn refusal(path: &[u8], errno: Errno) -> Error {
    let name = shown(path);
    match errno {
        Errno::NOENT => Error::new(ErrorKind::FileNotFound, format!("there is no file {name}")),
        Errno::NOTDIR => Error::new(
            ErrorKind::FileNotFound,
            format!("there is no file {name}: a part of its path is not a folder"),
        ),
        Errno::LOOP | Errno::XDEV => Error::invalid_field(
            "path",
            format!("{name} is a symbolic link or leads through one; links are not followed"),
        ),
        Errno::ISDIR => Error::invalid_field("path", format!("{name} is a folder")),
        Errno::NXIO | Errno::NODEV => irregular(path),
        Errno::ACCESS | Errno::PERM => {
            Error::invalid_field("path", format!("the file permissions of {name} deny access"))
        }
        Errno::NAMETOOLONG => Error::invalid_field("path", format!("the path {name} is too long")),
        Errno::AGAIN | Errno::BUSY => Error::new(ErrorKind::Contended, format!("{name} is busy; try again")),
        errno => disk::fault(format!("{name} cannot be accessed"), errno.into()),
    }
}
