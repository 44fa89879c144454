//! A bounded walk over a workspace. It follows no symbolic links, and reports whether a limit ended it early.
//!
//! A folder may contain hundreds of thousands of files. The names of a folder are therefore read in sorted batches of
//! limited size, with one pass over the folder per batch.

use std::{
    collections::BinaryHeap,
    fs::File,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{fs::OFlags, io::Errno};

use super::{
    beneath::{MAX_PATH_BYTES, Root, look, metadata, refusal},
    spelling,
    workspace::{FileKind, Metadata, is_temporary},
};
use crate::error::Result;

// Reasons why a walk is incomplete, returned by `Walk::cut`.
const TOO_MANY: &str = "too many files";
const TOO_LONG: &str = "the time limit was reached";
const TOO_DEEP: &str = "folders are nested too deeply";
const UNREADABLE: &str = "a folder could not be read";
/// Number of names read between two checks of the time limit.
const NAMES_A_LOOK: usize = 1024;

/// Limits on the time, memory and result of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkLimits {
    /// Maximum number of files and folders that a walk returns.
    pub entries: usize,
    /// Maximum depth; 1 returns only the folder's own entries.
    pub depth: usize,
    /// Maximum duration of a walk.
    pub time: Duration,
    /// Maximum number of names of one folder in memory.
    pub names: usize,
}

/// A file or folder that a walk returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Path relative to the workspace, such as `output/report.md`. A path that is not UTF-8 is percent-encoded
    /// (`spelling.rs`).
    pub path: String,
    /// Metadata, read without opening the file.
    pub metadata: Metadata,
    raw: Vec<u8>,
}

/// An iterator over the files and folders below a folder, in name order. A folder comes before its content.
///
/// At any depth, only two descriptors are open: the workspace and the current folder. The walk reopens a parent
/// folder when it returns to that folder.
pub struct Walk {
    root: Root,
    /// The folders from the start folder to the current folder.
    levels: Vec<Level>,
    /// The current folder, with its index in `levels`.
    open: Option<(usize, OwnedFd)>,
    seen: usize,
    limits: WalkLimits,
    until: Instant,
    cut: Option<&'static str>,
}

struct Level {
    path: Vec<u8>,
    /// Names that were read but not returned yet, in reverse order.
    names: Vec<Vec<u8>>,
    /// The next batch contains only names after this one; `None` before the first batch.
    behind: Option<Vec<u8>>,
    /// True if the folder may have names that are not in memory.
    has_more: bool,
}

impl Walk {
    /// Starts a walk at the beginning of a folder, or after the path `behind`. The path `behind` may no longer exist.
    pub(super) fn new(root: Root, start: &[u8], limits: WalkLimits, behind: Option<&[u8]>) -> Result<Self> {
        let mut walk = Self {
            root,
            levels: Vec::new(),
            open: None,
            seen: 0,
            limits,
            until: Instant::now() + limits.time,
            cut: None,
        };
        let behind = behind.and_then(|path| below(path, start)).unwrap_or_default();
        let mut parts = behind.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
        let first = parts.next().map(<[u8]>::to_vec);
        walk.enter(start.to_vec(), first.clone())
            .map_err(|errno| refusal(start, errno))?;
        let mut last = first;
        while let Some(name) = last.take()
            && walk.levels.len() < walk.limits.depth
        {
            let next = parts.next().map(<[u8]>::to_vec);
            let above = walk
                .levels
                .last()
                .map(|level| level.path.as_slice())
                .unwrap_or_default();
            let path = joined(above, &name);
            // A removed folder, or a path that is not a folder, has no entries: continue in the parent folder.
            if walk.enter(path, next.clone()).is_err() {
                break;
            }
            last = next;
        }
        Ok(walk)
    }

    /// Returns why the walk omitted entries; `None` if it has omitted none so far.
    pub fn cut(&self) -> Option<&'static str> {
        self.cut
    }

    /// Opens a regular file that the walk returned.
    ///
    /// # Errors
    /// The errors of `Workspace::open_file`.
    pub fn open(&self, found: &Found) -> Result<File> {
        self.root.open_regular(&found.raw)
    }

    pub(super) fn is_file(&self, found: &Found) -> bool {
        let opened = self.root.open_at(&found.raw, OFlags::PATH | OFlags::NOFOLLOW);
        let stat = opened.and_then(rustix::fs::fstat);
        stat.is_ok_and(|stat| metadata(&stat).kind == FileKind::File)
    }

    fn enter(&mut self, path: Vec<u8>, behind: Option<Vec<u8>>) -> rustix::io::Result<()> {
        let folder = self.root.open_folder(&path)?;
        let mut level = Level {
            path,
            names: Vec::new(),
            behind,
            has_more: true,
        };
        self.read_on(&folder, &mut level)?;
        self.open = Some((self.levels.len(), folder));
        self.levels.push(level);
        Ok(())
    }

    /// Reads the next batch of up to `limits.names` names, in name order.
    fn read_on(&mut self, folder: &OwnedFd, level: &mut Level) -> rustix::io::Result<()> {
        let most = self.limits.names.max(1);
        let mut first = BinaryHeap::new();
        level.has_more = false;
        for (count, entry) in rustix::fs::Dir::read_from(folder)?.enumerate() {
            if count % NAMES_A_LOOK == 0 && Instant::now() > self.until {
                // The first names are known only after all names were read, so none can be used.
                self.cut = Some(TOO_LONG);
                return Ok(());
            }
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let is_behind = level.behind.as_deref().is_none_or(|behind| name > behind);
            if name == b"." || name == b".." || !is_behind || is_temporary(name) {
                continue;
            }
            if first.len() == most {
                level.has_more = true;
                if first.peek().is_some_and(|last: &Vec<u8>| name >= last.as_slice()) {
                    continue;
                }
                first.pop();
            }
            first.push(name.to_vec());
        }
        level.names = first.into_sorted_vec();
        level.behind = level.names.last().cloned().or(level.behind.take());
        level.names.reverse();
        Ok(())
    }

    /// Returns the next name, and the index in `levels` of the folder that contains it. Deeper folders come first.
    fn next_name(&mut self) -> Option<(usize, Vec<u8>)> {
        while let Some(depth) = self.levels.len().checked_sub(1) {
            if let Some(name) = self.levels[depth].names.pop() {
                return Some((depth, name));
            }
            if !self.levels[depth].has_more || self.cut == Some(TOO_LONG) {
                self.levels.pop();
                continue;
            }
            let mut level = self.levels.pop()?;
            let read = self.folder(depth, &level.path).and_then(|folder| {
                let read = self.read_on(&folder, &mut level);
                self.open = Some((depth, folder));
                read
            });
            match read {
                Ok(()) => self.levels.push(level),
                Err(errno) => self.note(errno),
            }
        }
        None
    }

    fn folder(&mut self, depth: usize, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        match self.open.take() {
            Some((open, folder)) if open == depth => Ok(folder),
            _ => self.root.open_folder(path),
        }
    }

    // Marks the walk as incomplete. A file or folder that was removed or replaced after its name was read does not
    // count.
    fn note(&mut self, errno: Errno) {
        if !matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP) {
            self.cut = Some(UNREADABLE);
        }
    }

    fn look(&mut self, depth: usize, name: &[u8]) -> Option<Found> {
        let above = self.levels.get(depth)?.path.clone();
        let folder = match self.folder(depth, &above) {
            Ok(folder) => folder,
            Err(errno) => {
                // The other names of this level are in the same folder, so skip them.
                self.note(errno);
                self.levels.truncate(depth);
                return None;
            }
        };
        let stat = look(&folder, name);
        self.open = Some((depth, folder));
        let metadata = metadata(&stat.ok()?);
        let raw = joined(&above, name);
        let path = spelling::text_of(&raw);
        Some(Found { path, metadata, raw })
    }

    fn descend(&mut self, found: &Found) {
        if self.levels.len() >= self.limits.depth || found.raw.len() > MAX_PATH_BYTES {
            // At depth 1, the content of subfolders is not requested.
            if self.limits.depth > 1 {
                self.cut = Some(TOO_DEEP);
            }
        } else if let Err(errno) = self.enter(found.raw.clone(), None) {
            self.note(errno);
        }
    }
}

impl Found {
    /// The path as bytes, without percent-encoding.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }
}

impl Iterator for Walk {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let (depth, name) = self.next_name()?;
            if Instant::now() > self.until {
                self.cut = Some(TOO_LONG);
                return None;
            }
            if self.seen >= self.limits.entries {
                self.cut = Some(TOO_MANY);
                return None;
            }
            let Some(found) = self.look(depth, &name) else { continue };
            self.seen += 1;
            if found.metadata.kind == FileKind::Folder {
                self.descend(&found);
            }
            return Some(found);
        }
    }
}

impl Default for WalkLimits {
    fn default() -> Self {
        Self {
            entries: 100_000,
            depth: 64,
            time: Duration::from_secs(10),
            names: 16_384,
        }
    }
}

fn joined(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() {
        name.to_vec()
    } else {
        [folder, b"/", name].concat()
    }
}

fn below<'a>(path: &'a [u8], folder: &[u8]) -> Option<&'a [u8]> {
    if folder.is_empty() {
        return Some(path);
    }
    path.strip_prefix(folder)?.strip_prefix(b"/")
}
