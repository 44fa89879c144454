//! A bounded walk over a workspace, for glob, grep and lists: no link is followed, every bound that cut it is told.

use std::{
    fs::File,
    time::{Duration, Instant},
};

use rustix::io::Errno;

use super::{
    beneath::{MAX_PATH_BYTES, Root, look, metadata, names, refusal},
    workspace::{FileKind, Metadata, is_temporary},
};
use crate::error::Result;

/// The bounds of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkLimits {
    /// Files and folders looked at.
    pub entries: usize,
    /// Folders inside folders; 1 is the folder's own entries.
    pub depth: usize,
    /// Time.
    pub time: Duration,
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
/// It holds one descriptor, however deep it is: each folder is opened from the top again.
pub struct Walk {
    root: Root,
    /// What is to be given, the next one last; with its depth.
    pending: Vec<(Found, usize)>,
    seen: usize,
    limits: WalkLimits,
    until: Instant,
    cut: Option<&'static str>,
}

impl Walk {
    pub(super) fn new(root: Root, start: &str, limits: WalkLimits) -> Result<Self> {
        let mut walk = Self {
            root,
            pending: Vec::new(),
            seen: 0,
            limits,
            until: Instant::now() + limits.time,
            cut: None,
        };
        walk.enter(start.as_bytes(), 1)
            .map_err(|errno| refusal(start.as_bytes(), errno))?;
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

    fn enter(&mut self, path: &[u8], depth: usize) -> rustix::io::Result<()> {
        let folder = self.root.open_folder(path)?;
        let room = self.limits.entries.saturating_sub(self.seen);
        let mut names = names(&folder, room.saturating_add(1))?;
        if names.len() > room {
            self.cut = Some("there are too many files");
            names.truncate(room);
        }
        self.seen += names.len();
        names.sort_unstable_by(|one, other| other.cmp(one));
        for name in names {
            if is_temporary(&name) {
                continue;
            }
            // What has gone since the folder was read is not there.
            let Ok(stat) = look(&folder, &name) else { continue };
            let raw = if path.is_empty() {
                name
            } else {
                [path, b"/", &name].concat()
            };
            let path = String::from_utf8_lossy(&raw).into_owned();
            let metadata = metadata(&stat);
            self.pending.push((Found { path, metadata, raw }, depth));
        }
        Ok(())
    }
}

impl Found {
    /// The path as its bytes are.
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }
}

impl Iterator for Walk {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        if Instant::now() > self.until {
            if !self.pending.is_empty() {
                self.cut = Some("it took too long");
            }
            return None;
        }
        let (found, depth) = self.pending.pop()?;
        if found.metadata.kind == FileKind::Folder {
            if depth >= self.limits.depth || found.raw.len() > MAX_PATH_BYTES {
                // The caller of a flat list wants no more than that.
                if self.limits.depth > 1 {
                    self.cut = Some("folders lie too deep");
                }
            } else if let Err(errno) = self.enter(&found.raw, depth + 1)
                // What has gone since its name was read is not there.
                && !matches!(errno, Errno::NOENT | Errno::NOTDIR)
            {
                self.cut = Some("a folder cannot be read");
            }
        }
        Some(found)
    }
}

impl Default for WalkLimits {
    fn default() -> Self {
        Self {
            entries: 100_000,
            depth: 64,
            time: Duration::from_secs(10),
        }
    }
}
