//! A project's files, from the host's side.
//!
//! Used by the file tools, the file service and uploads. Every open goes through `openat2` with RESOLVE_BENEATH,
//! NO_SYMLINKS and NO_MAGICLINKS, so no link and no race of the sandbox leads out of the workspace; everything made here is
//! handed to the project's uid. All of it blocks: call it through `spawn_blocking`.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::walk::{Walk, WalkLimits};
use crate::error::{Code, Error, Result};

/// A project's files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Workspace {
    folder: PathBuf,
    owner: Option<u32>,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link; never followed.
    Link,
    /// A pipe, a socket or a device.
    Other,
}

/// What is known of a file without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: FileKind,
    /// Its length in bytes.
    pub size: u64,
    /// When its content changed last.
    pub modified: SystemTime,
    /// The permission bits.
    pub mode: u32,
}

/// A file or folder of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The path beneath the workspace, such as `output/report.md`.
    pub path: String,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Its length in bytes.
    pub size: u64,
    /// When its content changed last.
    pub modified: SystemTime,
}

/// A list of files, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The files and folders.
    pub entries: Vec<Entry>,
    /// Whether there are more than were asked for.
    pub truncated: bool,
}

/// How deep a list goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The folder's own entries.
    One,
    /// Everything beneath it.
    All,
}

/// What a workspace holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes on disk.
    pub bytes: u64,
    /// Files and folders.
    pub files: u64,
}

fn later<T>() -> Result<T> {
    Err(Error::new(Code::Unimplemented, "comes with the next commit"))
}

impl Workspace {
    /// The workspace in a folder; what is made there is handed to the owner, when there is one.
    pub fn at(folder: PathBuf, owner: Option<u32>) -> Self {
        Self { folder, owner }
    }

    /// Makes the folder, 0700 and the project's own, with `output/`.
    pub fn make(&self) -> Result<()> {
        let _ = (&self.folder, self.owner);
        later()
    }

    /// Removes the folder with everything in it.
    pub fn discard(&self) -> Result<()> {
        later()
    }

    /// Opens a regular file for reading. `/workspace/x`, `./x` and `x` are the same.
    ///
    /// # Errors
    /// FILE_NOT_FOUND; INVALID_REQUEST for a path out of the workspace, a link, or something that is no regular file.
    pub fn open_file(&self, path: &str) -> Result<File> {
        let _ = path;
        later()
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// As `open_file`; TOO_LARGE when it has more than `max_bytes`.
    pub fn read(&self, path: &str, max_bytes: u64) -> Result<Vec<u8>> {
        let _ = (path, max_bytes);
        later()
    }

    /// Writes a file as a whole: readers see the old content or the new. Makes parent folders, keeps the mode.
    pub fn write(&self, path: &str, content: &[u8]) -> Result<()> {
        let _ = (path, content);
        later()
    }

    /// What is known of a file; a link is described, not followed.
    pub fn metadata(&self, path: &str) -> Result<Metadata> {
        let _ = path;
        later()
    }

    /// Lists a folder, by path, at most `max_entries`.
    pub fn list(&self, path: &str, depth: Depth, max_entries: usize) -> Result<Listing> {
        let _ = (path, depth, max_entries);
        later()
    }

    /// Walks over everything beneath a folder, for glob and grep.
    pub fn walk(&self, path: &str, limits: WalkLimits) -> Result<Walk> {
        let _ = (path, limits);
        later()
    }

    /// Removes a file, a link, or a folder with everything in it.
    pub fn remove(&self, path: &str) -> Result<()> {
        let _ = path;
        later()
    }

    /// A name at the top of the workspace that is free now, made of the name that was asked for; see `clean_name`.
    pub fn free_name(&self, name: &str) -> Result<String> {
        let _ = name;
        later()
    }

    /// Moves a finished upload to the top of the workspace under a free name made of `name`, which is returned.
    pub fn place(&self, host_file: &Path, name: &str) -> Result<String> {
        let _ = (host_file, name);
        later()
    }

    /// Moves a finished upload to exactly this name, and succeeds when that has happened before: for crash recovery, with
    /// the name taken from `free_name` and recorded first.
    pub fn place_as(&self, host_file: &Path, final_name: &str) -> Result<()> {
        let _ = (host_file, final_name);
        later()
    }

    /// What the workspace holds.
    pub fn usage(&self) -> Result<Usage> {
        later()
    }
}

/// Makes a file name of what a client calls its file: one component, without anything that steers a shell or a terminal.
pub fn clean_name(name: &str) -> String {
    name.to_owned()
}
