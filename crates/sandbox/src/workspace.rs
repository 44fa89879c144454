//! Gives the service access to a project's files.
//!
//! Files are opened with `openat2`, so that neither a link nor a concurrent command can redirect an access out of the
//! workspace. New files and folders get the project's uid. All functions block; async code must call them through
//! `spawn_blocking`.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid},
    io::Errno,
};

use super::{
    beneath::{Root, look, metadata, open_beneath, open_folder, refusal, relative, shown},
    spelling::split_raw,
    tree,
    walk::{Found, Walk, WalkLimits},
};
use crate::{
    disk,
    error::{Error, ErrorKind, Result},
};

/// Name prefix of unfinished files and of folders that are being removed. Lists and walks skip these names.
const TEMPORARY: &str = ".runyard-tmp-";

/// Maximum time for reading one page of a list.
const LIST_TIME: Duration = Duration::from_secs(10);

/// A project's files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Workspace {
    folder: PathBuf,
    owner: Option<u32>,
}

/// File type of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, which is never followed.
    Link,
    /// A pipe, a socket or a device.
    Other,
}

/// Metadata of a file, read without opening the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// File type. A symbolic link is a [`FileKind::Link`], whatever its target is.
    pub kind: FileKind,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change of the content.
    pub modified: SystemTime,
    /// Permission bits, including setuid, setgid and sticky.
    pub mode: u32,
}

/// A file or folder in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path relative to the workspace, such as `output/report.md`. A path that is not UTF-8 is percent-encoded
    /// (`spelling.rs`).
    pub path: String,
    /// True for a folder.
    pub is_dir: bool,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change of the content.
    pub modified: SystemTime,
}

/// One page of a list of files, sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Files and folders of the page.
    pub entries: Vec<Entry>,
    /// Reason why the list is incomplete; `None` if it is complete.
    pub cut: Option<&'static str>,
    /// Last path of the page as bytes, from which the next page continues; `None` on the last page.
    pub next: Option<Vec<u8>>,
}

/// Depth of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Only the folder's own entries.
    One,
    /// All entries below the folder.
    All,
}

/// Disk usage of a workspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of bytes on disk.
    pub bytes: u64,
    /// Number of files and folders.
    pub files: u64,
}

impl Workspace {
    /// Returns the workspace in `folder`. All files and folders that the service creates in the workspace get the uid
    /// `owner`.
    pub(super) fn at(folder: PathBuf, owner: Option<u32>) -> Self {
        Self { folder, owner }
    }

    pub(super) fn make(&self) -> Result<()> {
        let made = std::fs::create_dir_all(&self.folder);
        made.map_err(|error| disk::fault("the workspace cannot be created", error))?;
        let root = self.root()?;
        let failed = |errno: Errno| disk::fault("the owner or mode of the workspace cannot be set", errno.into());
        rustix::fs::fchmod(root.folder(), Mode::RWXU).map_err(failed)?;
        self.hand_over(root.folder()).map_err(failed)?;
        // An existing `output` belongs to the project and is kept, even if it is not a folder.
        match rustix::fs::mkdirat(root.folder(), "output", Mode::from_raw_mode(0o755)) {
            Ok(()) => self
                .hand_over(open_folder(root.folder(), b"output").map_err(failed)?)
                .map_err(failed),
            Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(failed(errno)),
        }
    }

    /// Removes the workspace. Succeeds if it does not exist.
    pub(super) fn discard(&self) -> Result<()> {
        let root = match self.root() {
            Err(error) if error.kind() == ErrorKind::FileNotFound => return Ok(()),
            root => root?,
        };
        let failed = |errno: Errno| disk::fault("the workspace cannot be removed", errno.into());
        tree::empty(&root).map_err(failed)?;
        rustix::fs::unlinkat(CWD, &self.folder, AtFlags::REMOVEDIR).map_err(failed)
    }

    /// Opens a regular file for reading. The paths `/workspace/x`, `./x` and `x` name the same file. A path that is
    /// not UTF-8 must be percent-encoded, as `list` and `walk` return it.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` when the file does not exist; `INVALID_REQUEST` when the path is outside the workspace, leads
    /// through a symbolic link, or is not a regular file.
    pub fn open_file(&self, path: &str) -> Result<File> {
        let (root, path) = self.locate(path)?;
        root.open_regular(&path)
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// The errors of `open_file`, and `TOO_LARGE` when the file is larger than `max_bytes`.
    pub fn read(&self, path: &str, max_bytes: u64) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        let read = self
            .open_file(path)?
            .take(max_bytes.saturating_add(1))
            .read_to_end(&mut content);
        read.map_err(|error| disk::fault(format!("{path:?} cannot be read"), error))?;
        if content.len() as u64 > max_bytes {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("{path:?} has more than {max_bytes} bytes"),
            ));
        }
        Ok(content)
    }

    /// Writes a whole file atomically. Missing parent folders are created, and an existing file keeps its mode. A
    /// symbolic link at the path is replaced.
    ///
    /// # Errors
    /// `INVALID_REQUEST` for a path that cannot be a file; UNAVAILABLE when the disk is full.
    pub fn write(&self, path: &str, content: &[u8]) -> Result<()> {
        let path = relative(path)?;
        let (parent, name) = split(&path)?;
        let root = self.root()?;
        let folder = self.make_folders(&root, parent)?;
        let mode = match look(&folder, name.as_bytes()).map(|stat| metadata(&stat)) {
            Ok(found) if found.kind == FileKind::Folder => return Err(refusal(path.as_bytes(), Errno::ISDIR)),
            Ok(found) if found.kind == FileKind::File => Mode::from_raw_mode(found.mode & 0o777),
            _ => Mode::from_raw_mode(0o644),
        };
        let temporary = format!("{TEMPORARY}{:016x}", u64::from_ne_bytes(rand::random::<[u8; 8]>()));
        let written = self.write_new(&folder, &temporary, content, mode).and_then(|()| {
            rustix::fs::renameat(&folder, temporary.as_str(), &folder, name)?;
            Ok(())
        });
        written.map_err(|error| {
            // If this fails, the temporary file remains until the workspace is removed.
            let _ = rustix::fs::unlinkat(&folder, temporary.as_str(), AtFlags::empty());
            match Errno::from_io_error(&error) {
                Some(errno) => refusal(path.as_bytes(), errno),
                None => Error::internal(format!("{path:?} cannot be written"), error),
            }
        })
    }

    /// Returns the metadata of a path. For a symbolic link, returns the metadata of the link itself, not of its
    /// target.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` when the path does not exist; `INVALID_REQUEST` for a path outside the workspace or through a
    /// symbolic link.
    pub fn metadata(&self, path: &str) -> Result<Metadata> {
        let (root, path) = self.locate(path)?;
        let opened = root.open_at(&path, OFlags::PATH | OFlags::NOFOLLOW);
        let stat = opened.and_then(rustix::fs::fstat);
        stat.map(|stat| metadata(&stat)).map_err(|errno| refusal(&path, errno))
    }

    /// Lists up to `max_entries` entries of a folder, sorted by path. `behind` is the last path of the previous page;
    /// `None` for the first page.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` when the folder does not exist.
    pub fn list(&self, path: &str, depth: Depth, max_entries: usize, behind: Option<&[u8]>) -> Result<Listing> {
        let limits = WalkLimits {
            // One extra entry shows whether there is a next page.
            entries: max_entries.saturating_add(1),
            depth: match depth {
                Depth::One => 1,
                Depth::All => WalkLimits::default().depth,
            },
            time: LIST_TIME,
            names: max_entries.saturating_add(1),
        };
        let (root, path) = self.locate(path)?;
        let mut walk = Walk::new(root, &path, limits, behind)?;
        let mut found: Vec<Found> = walk.by_ref().take(limits.entries).collect();
        let has_more = found.len() > max_entries;
        found.truncate(max_entries);
        let next = found.last().filter(|_| has_more).map(|last| last.raw().to_vec());
        let entries = found.into_iter().map(|found| Entry {
            path: found.path,
            is_dir: found.metadata.kind == FileKind::Folder,
            size: found.metadata.size,
            modified: found.metadata.modified,
        });
        Ok(Listing {
            entries: entries.collect(),
            cut: walk.cut(),
            next,
        })
    }

    /// Starts a walk over everything below a folder.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` when the folder does not exist.
    pub fn walk(&self, path: &str, limits: WalkLimits) -> Result<Walk> {
        let (root, path) = self.locate(path)?;
        Walk::new(root, &path, limits, None)
    }

    /// Removes a file, a link, or a folder with its content.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` when the path does not exist; `INVALID_REQUEST` for the workspace itself.
    pub fn remove(&self, path: &str) -> Result<()> {
        let (root, path) = self.locate(path)?;
        let (parent, name) = split_raw(&path)?;
        let removed = root
            .open_folder(parent)
            .and_then(|folder| tree::remove(&root, &folder, name));
        removed.map_err(|errno| refusal(&path, errno))
    }

    /// Removes a file, a link, or an empty folder.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` when the path does not exist; CONFLICT for a folder that is not empty; `INVALID_REQUEST` for
    /// the workspace itself.
    pub fn remove_one(&self, path: &str) -> Result<()> {
        let (root, path) = self.locate(path)?;
        let (parent, name) = split_raw(&path)?;
        let refused = |errno| refusal(&path, errno);
        let folder = root.open_folder(parent).map_err(refused)?;
        match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => match rustix::fs::unlinkat(&folder, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY | Errno::EXIST) => Err(Error::new(
                    ErrorKind::Conflict,
                    format!("the folder {} is not empty", shown(&path)),
                )),
                answer => answer.map_err(refused),
            },
            answer => answer.map_err(refused),
        }
    }

    /// Measures the disk usage of the workspace.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` when the workspace does not exist.
    pub fn usage(&self) -> Result<Usage> {
        self.usage_until(Usage {
            bytes: u64::MAX,
            files: u64::MAX,
        })
    }

    /// Measures the disk usage. Stops as soon as a limit is exceeded, and returns the usage so far.
    pub(super) fn usage_until(&self, limit: Usage) -> Result<Usage> {
        tree::measure(&self.root()?, limit)
            .map_err(|errno| disk::fault("the size of the workspace cannot be measured", errno.into()))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn root(&self) -> Result<Root> {
        Root::open(&self.folder)
    }

    fn write_new(&self, folder: &OwnedFd, name: &str, content: &[u8], mode: Mode) -> std::io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?);
        file.write_all(content)?;
        self.hand_over(&file)?;
        rustix::fs::fchmod(&file, mode)?;
        Ok(())
    }

    /// Opens a folder. Creates missing folders on the path, with the project's uid.
    pub(super) fn make_folders(&self, root: &Root, path: &str) -> Result<OwnedFd> {
        let refused = |errno| match errno {
            Errno::NOTDIR => Error::invalid_field("path", format!("a part of {path:?} is a file, not a folder")),
            errno => refusal(path.as_bytes(), errno),
        };
        let mut folder = open_folder(root.folder(), b"").map_err(refused)?;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let opened = match open_folder(&folder, part.as_bytes()) {
                Err(Errno::NOENT) => self.make_folder(&folder, part),
                opened => opened,
            };
            folder = opened.map_err(refused)?;
        }
        Ok(folder)
    }

    fn make_folder(&self, parent: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
        match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK;
        let folder = open_beneath(parent, name.as_bytes(), flags)?;
        self.hand_over(&folder)?;
        Ok(folder)
    }

    /// Changes a file's owner to the project's uid, if the service is root.
    pub(super) fn hand_over(&self, file: impl std::os::fd::AsFd) -> rustix::io::Result<()> {
        match self.owner {
            Some(id) => rustix::fs::fchown(file, Some(Uid::from_raw(id)), Some(Gid::from_raw(id))),
            None => Ok(()),
        }
    }
}

pub(super) fn is_temporary(name: &[u8]) -> bool {
    name.starts_with(TEMPORARY.as_bytes())
}

pub(super) fn split(path: &str) -> Result<(&str, &str)> {
    match path.rsplit_once('/') {
        Some(parts) => Ok(parts),
        None if path.is_empty() => Err(nameless()),
        None => Ok(("", path)),
    }
}

/// The error for a path that names the workspace instead of a file.
pub(super) fn nameless() -> Error {
    Error::invalid_field("path", "the path must name a file in the workspace")
}
