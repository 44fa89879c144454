//! A bounded walk over a workspace, for glob, grep, lists and archives: it follows no link, and tells when a bound cut it.
//!
//! A folder may hold hundreds of thousands of files. A walk keeps a bounded number of its names, the first ones by order, and
//! reads the folder again for the next ones. It can begin behind any path, so that a page of a list needs only its own names.

use std::{
    collections::BinaryHeap,
    fs::File,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::io::Errno;

use super::{
    beneath::{MAX_PATH_BYTES, Root, look, metadata, refusal},
    workspace::{FileKind, Metadata, is_temporary},
};
use crate::error::Result;

/// Why a walk ended early.
const TOO_MANY: &str = "too many files";
const TOO_LONG: &str = "the time limit was reached";
const TOO_DEEP: &str = "folders are nested too deeply";
const UNREADABLE: &str = "a folder could not be read";
/// Names between two looks at the time.
const NAMES_A_LOOK: usize = 1024;

/// The bounds of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkLimits {
    /// Maximum number of files and folders given.
    pub entries: usize,
    /// Maximum depth; 1 is the folder's own entries.
    pub depth: usize,
    /// Maximum time.
    pub time: Duration,
    /// Maximum number of names of one folder in memory.
    pub names: usize,
}

/// Something that a walk came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The path beneath the workspace, such as `output/report.md`; characters that are not UTF-8 are replaced.
    pub path: String,
    /// What is known of it.
    pub metadata: Metadata,
    raw: Vec<u8>,
}

/// A walk: gives every file and folder once, a folder before what is in it, by name.
///
/// It holds one descriptor besides the workspace's, however deep it is: each folder is opened from the top again.
pub struct Walk {
    root: Root,
    /// The folders on the way to where the walk is.
    levels: Vec<Level>,
    /// The open folder, and which level it is.
    open: Option<(usize, OwnedFd)>,
    seen: usize,
    limits: WalkLimits,
    until: Instant,
    cut: Option<&'static str>,
}

/// A folder that the walk is in.
struct Level {
    path: Vec<u8>,
    /// The next names, the first one last.
    names: Vec<Vec<u8>>,
    /// The name behind which the folder is read on.
    behind: Option<Vec<u8>>,
    /// Whether there may be more names than those in memory.
    has_more: bool,
}

impl Walk {
    /// A walk over a folder, from its beginning or behind a path that an earlier walk has given; that one may have gone.
    pub(super) fn new(root: Root, start: &str, limits: WalkLimits, behind: Option<&[u8]>) -> Result<Self> {
        let mut walk = Self {
            root,
            levels: Vec::new(),
            open: None,
            seen: 0,
            limits,
            until: Instant::now() + limits.time,
            cut: None,
        };
        let behind = behind
            .and_then(|path| below(path, start.as_bytes()))
            .unwrap_or_default();
        let mut parts = behind.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
        let first = parts.next().map(<[u8]>::to_vec);
        walk.enter(start.as_bytes().to_vec(), first.clone())
            .map_err(|errno| refusal(start.as_bytes(), errno))?;
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
            // A file, a link, or a folder that has gone has nothing below it.
            if walk.enter(path, next.clone()).is_err() {
                break;
            }
            last = next;
        }
        Ok(walk)
    }

    /// Why the walk has left something out, if it has.
    pub fn cut(&self) -> Option<&'static str> {
        self.cut
    }

    /// Opens a regular file that the walk has given.
    ///
    /// # Errors
    /// As `Workspace::open_file`.
    pub fn open(&self, found: &Found) -> Result<File> {
        self.root.open_regular(&found.raw)
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

    /// Reads the next names of a folder: of all that follow, the first ones.
    fn read_on(&mut self, folder: &OwnedFd, level: &mut Level) -> rustix::io::Result<()> {
        let most = self.limits.names.max(1);
        let mut first = BinaryHeap::new();
        level.has_more = false;
        for (count, entry) in rustix::fs::Dir::read_from(folder)?.enumerate() {
            if count % NAMES_A_LOOK == 0 && Instant::now() > self.until {
                // Of names that were not all seen, the first ones are not known.
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

    /// The next name, in the deepest folder that has one.
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

    /// Takes the open folder of a level, opened again when the walk has been elsewhere.
    fn folder(&mut self, depth: usize, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        match self.open.take() {
            Some((open, folder)) if open == depth => Ok(folder),
            _ => self.root.open_folder(path),
        }
    }

    // What has gone since its name was read is not there.
    fn note(&mut self, errno: Errno) {
        if !matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP) {
            self.cut = Some(UNREADABLE);
        }
    }

    /// Looks at a name of a level.
    fn look(&mut self, depth: usize, name: &[u8]) -> Option<Found> {
        let above = self.levels.get(depth)?.path.clone();
        let folder = match self.folder(depth, &above) {
            Ok(folder) => folder,
            Err(errno) => {
                // The rest of the folder has gone with it.
                self.note(errno);
                self.levels.truncate(depth);
                return None;
            }
        };
        let stat = look(&folder, name);
        self.open = Some((depth, folder));
        let metadata = metadata(&stat.ok()?);
        let raw = joined(&above, name);
        let path = String::from_utf8_lossy(&raw).into_owned();
        Some(Found { path, metadata, raw })
    }

    fn descend(&mut self, found: &Found) {
        if self.levels.len() >= self.limits.depth || found.raw.len() > MAX_PATH_BYTES {
            // The caller of a flat list wants no more than that.
            if self.limits.depth > 1 {
                self.cut = Some(TOO_DEEP);
            }
        } else if let Err(errno) = self.enter(found.raw.clone(), None) {
            self.note(errno);
        }
    }
}

impl Found {
    /// The path as its bytes are.
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

// The part of a path that lies below a folder.
fn below<'a>(path: &'a [u8], folder: &[u8]) -> Option<&'a [u8]> {
    if folder.is_empty() {
        return Some(path);
    }
    path.strip_prefix(folder)?.strip_prefix(b"/")
}
