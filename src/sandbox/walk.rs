//! A bounded walk over a workspace, for glob, grep and lists: no link is followed, every bound that cut it is told.

use std::{fs::File, time::Duration};

use super::workspace::Metadata;
use crate::error::{Code, Error, Result};

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
    /// The path beneath the workspace, such as `output/report.md`.
    pub path: String,
    /// What is known of it.
    pub metadata: Metadata,
}

/// A walk: gives every file and folder once, a folder before what is in it, by name.
pub struct Walk;

impl Walk {
    /// Why the walk ended before it had seen everything.
    pub fn cut(&self) -> Option<&'static str> {
        None
    }

    /// Opens a regular file that the walk has just given.
    pub fn open(&self, found: &Found) -> Result<File> {
        let _ = found;
        Err(Error::new(Code::Unimplemented, "comes with the next commit"))
    }
}

impl Iterator for Walk {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        None
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
