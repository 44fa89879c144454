//! Sandboxes in which tools run.
//!
//! The engine and the tools use only the traits [`Sandbox`] and [`Files`] (`interface.rs`). [`ProjectSandbox`]
//! implements both traits with bubblewrap (`bwrap.rs`). [`Sandboxes`] is created once at start and records which
//! features the host supports. The [`Workspace`] of a project gives the service access to the project's files and opens
//! only paths inside the workspace. No command ever runs outside bubblewrap.

#![warn(missing_docs)]

mod advice;
mod archive;
mod beneath;
mod bwrap;
mod cgroup;
mod child;
mod config;
mod confine;
mod convert;
mod description;
pub mod disk;
mod environment;
mod error;
mod execute;
mod gate;
mod hierarchy;
mod host;
mod interface;
mod memory;
mod meter;
mod output;
mod processes;
mod project;
mod reading;
mod records;
mod screen;
mod seccomp;
mod settings;
mod spawned;
mod spawner;
mod spelling;
mod start;
mod terminal;
mod tree;
mod trial;
mod uploads;
pub mod walk;
pub mod workspace;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::OnceCell;

pub use archive::Archive;
pub use config::Config;
pub use convert::{Conversion, Converted, MAX_CONVERSIONS};
pub use error::{Error, ErrorKind, Result};
use host::Host;
pub use interface::{FileWalk, Files, OpenFile, OutputListener, Sandbox};
pub use project::ProjectSandbox;
use spawned::LongLived;
pub use spawned::{MAX_SPAWNED, Spawned};
pub use start::MAX_SCRIPT_BYTES;
pub use walk::{Found, Walk, WalkLimits};
pub use workspace::{Depth, Entry, FileKind, Listing, Metadata, Usage, Workspace};

/// Location and owner of a project's workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Folder of the workspace on the host.
    pub folder: PathBuf,
    /// Number of the project, counted from 0. If the service runs as root, the uid of the project's commands is
    /// `uid_base` + `number`.
    pub number: u32,
}

/// A folder of the host that the commands of a sandbox can read and cannot change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOnlyFolder {
    /// The folder on the host. A command starts without the folder if it does not exist.
    pub folder: PathBuf,
    /// Absolute path inside the sandbox, outside `/workspace`.
    pub inside: String,
}

/// A bash script. Its working directory and its home directory are `/workspace`.
#[derive(Clone, Debug)]
pub struct Command {
    /// Text of the script: up to [`MAX_SCRIPT_BYTES`] bytes, without NUL.
    pub script: String,
    /// Time limit. [`Sandbox::execute`] reduces a longer limit to the configured maximum; [`Sandbox::spawn`] does not.
    pub timeout: Duration,
}

/// Output of a command, and how the command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The output as UTF-8, without escape sequences. If the output exceeds the configured maximum, only its head and
    /// tail are kept. [`Sandbox::execute`] interleaves standard output and standard error. For a [`Spawned`] process,
    /// the text contains only standard error.
    pub text: String,
    /// True if the middle of the output was left out.
    pub truncated: bool,
    /// How the command ended. A non-zero exit status is not an error.
    pub ending: CommandEnd,
}

/// How a command ended. In every case, all processes of the command have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandEnd {
    /// The command exited with this status.
    Exited(i32),
    /// The signal with this number killed the command.
    Signalled(i32),
    /// The command reached its time limit.
    TimedOut,
    /// The caller cancelled the command.
    Cancelled,
    /// The command exceeded its memory limit.
    OutOfMemory,
    /// The workspace grew beyond its maximum size or number of files, or it grew while the host's disk was almost full.
    DiskFull,
}

/// All sandboxes of this host. Cheap to clone.
#[derive(Clone)]
pub struct Sandboxes {
    host: Arc<Host>,
    programs: Arc<OnceCell<String>>,
    /// Long-lived processes without a project.
    trials: Arc<LongLived>,
}

impl Sandboxes {
    /// Detects which sandbox features the host supports. Succeeds even if bubblewrap is missing; commands then fail
    /// with UNAVAILABLE.
    ///
    /// # Errors
    /// `INVALID_REQUEST` or UNAVAILABLE for a problem that must stop the service from starting, such as a data folder
    /// that the projects' uids cannot traverse; INTERNAL for an unexpected failure.
    pub fn detect(config: &Config, data_dir: &Path) -> Result<Self> {
        Ok(Self {
            host: Arc::new(Host::detect(config, data_dir)?),
            programs: Arc::default(),
            trials: Arc::default(),
        })
    }

    /// Checks that commands can run on this host. The first call probes bubblewrap and blocks for some milliseconds.
    ///
    /// # Errors
    /// UNAVAILABLE when commands cannot run. The message describes the problem and its solution.
    pub fn check(&self) -> Result<()> {
        self.host.layout(None).map(drop)
    }

    /// Describes the sandbox and its weaknesses for the service's start-up log and for `doctor`, one sentence per item.
    /// The first call probes bubblewrap and blocks for some milliseconds.
    pub fn describe(&self) -> Vec<String> {
        self.host.describe()
    }

    /// Creates the workspace and its `output/` folder. The workspace gets mode 0700 and belongs to the project's uid.
    /// Existing files are kept.
    ///
    /// # Errors
    /// CONFLICT when the uid range has no uid for the project's number; INTERNAL when the folder cannot be created.
    pub fn make(&self, place: &Place) -> Result<()> {
        self.host.check_number(place.number)?;
        self.open(place.clone()).workspace().make()
    }

    /// Removes the workspace and everything in it.
    ///
    /// # Errors
    /// INTERNAL when a file or folder cannot be removed.
    pub fn discard(&self, place: &Place) -> Result<()> {
        self.open(place.clone()).workspace().discard()
    }

    /// Returns the sandbox of a project without accessing the file system.
    pub fn open(&self, place: Place) -> ProjectSandbox {
        // bubblewrap starts in `/`, not in the service's working directory, so the path must be absolute.
        let folder = std::path::absolute(&place.folder).unwrap_or_else(|_| place.folder.clone());
        let workspace = Workspace::at(folder, self.host.owner(place.number));
        ProjectSandbox::new(place, workspace, Arc::clone(&self.host))
    }
}

impl fmt::Debug for Sandboxes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandboxes").finish_non_exhaustive()
    }
}

impl CommandEnd {
    /// Returns whether the command exited with status 0.
    pub fn is_success(self) -> bool {
        self == Self::Exited(0)
    }

    /// Describes the ending for the model; `None` for status 0.
    pub fn describe(self) -> Option<String> {
        match self {
            Self::Exited(0) => None,
            Self::Exited(status) => Some(format!("exit status {status}")),
            Self::Signalled(signal) => Some(format!("killed by signal {signal}")),
            Self::TimedOut => Some("timed out: the command and its child processes were killed".into()),
            Self::Cancelled => Some("the command was cancelled".into()),
            Self::OutOfMemory => Some("out of memory: the command used more than the sandbox allows".into()),
            Self::DiskFull => Some(
                "disk full: the workspace exceeded its limit and the command was killed; remove files before writing more"
                    .into(),
            ),
        }
    }
}
