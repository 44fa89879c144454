//! Runs tools in sandboxes built with bubblewrap. No command runs outside bubblewrap.
//!
//! The engine and the tools use only the traits [`Sandbox`] and [`Files`]; [`ProjectSandbox`] implements `Sandbox`.
//! The service creates one [`Sandboxes`] at start, and accesses a project's files through its [`Workspace`].

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
mod counts;
mod description;
pub mod disk;
mod environment;
mod error;
mod execute;
mod gate;
mod gateway;
mod hierarchy;
mod host;
mod interface;
mod memory;
mod meter;
mod output;
mod prepared;
mod processes;
mod project;
mod reading;
mod recent;
mod records;
mod screen;
mod seccomp;
mod settings;
mod settings_folder;
mod spawned;
mod spawner;
mod spelling;
mod standby;
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
pub use config::{Config, Network};
pub use convert::{Conversion, Converted, MAX_CONVERSIONS};
pub use counts::Counts;
pub use error::{Error, ErrorKind, Result};
pub use gateway::{Gateway, PORT as GATEWAY_PORT};
use host::Host;
pub use interface::{FileWalk, Files, OpenFile, OutputListener, Sandbox};
pub use project::ProjectSandbox;
pub use recent::RecentOutput;
use spawned::LongLived;
pub use spawned::{MAX_SPAWNED, Spawned};
pub use start::MAX_SCRIPT_BYTES;
pub use walk::{Found, Walk, WalkLimits};
pub use workspace::{Depth, Entry, FileKind, Listing, Metadata, Usage, Workspace};

/// Folder and owner of a project's workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The workspace folder on the host.
    pub folder: PathBuf,
    /// Number of the project, counted from 0. If the service runs as root, the project's commands run as uid
    /// `uid_base` + `number`.
    pub number: u32,
}

/// A host folder that the commands of a sandbox can read but not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOnlyFolder {
    /// Path on the host. If this folder does not exist, commands start without it.
    pub folder: PathBuf,
    /// Absolute path inside the sandbox, outside `/workspace`.
    pub inside: String,
}

/// A bash script. Its working directory and its home directory are `/workspace`.
#[derive(Clone, Debug)]
pub struct Command {
    /// Text of the script: up to [`MAX_SCRIPT_BYTES`] bytes, without NUL.
    pub script: String,
    /// Time limit. [`Sandbox::execute`] applies the configured maximum; [`Sandbox::spawn`] does not.
    pub timeout: Duration,
}

/// Result of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// Output as UTF-8, without escape sequences. [`Sandbox::execute`] merges standard output and standard error. A
    /// [`Spawned`] process returns only its standard error. If the output exceeds the configured maximum, only its
    /// head and its tail are kept.
    pub text: String,
    /// True if the middle of the output was omitted.
    pub truncated: bool,
    /// The reason why the command ended.
    pub ending: CommandEnd,
}

/// The reason why a command ended. All processes of the command have then ended.
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
    /// The workspace exceeded its maximum size or number of files, or grew while the host's disk was almost full.
    DiskFull,
}

/// All sandboxes of this host. Cheap to clone.
#[derive(Clone)]
pub struct Sandboxes {
    host: Arc<Host>,
    programs: Arc<OnceCell<String>>,
    /// Long-lived processes that belong to no project.
    trials: Arc<LongLived>,
}

impl Sandboxes {
    /// Detects which sandbox features the host supports. If bubblewrap is missing, this succeeds, and commands later
    /// fail with UNAVAILABLE.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, UNAVAILABLE or INTERNAL for a problem with which the service must not start. An example is
    /// a data folder that the projects' uids cannot traverse.
    pub fn detect(config: &Config, data_dir: &Path) -> Result<Self> {
        Ok(Self {
            host: Arc::new(Host::detect(config, data_dir)?),
            programs: Arc::default(),
            trials: Arc::default(),
        })
    }

    /// Checks that commands can run on this host. The first call starts a test sandbox and blocks for some
    /// milliseconds.
    ///
    /// # Errors
    /// UNAVAILABLE when commands cannot run. The message describes the problem and its solution.
    pub fn check(&self) -> Result<()> {
        self.host.layout(None).map(drop)
    }

    /// Returns how many commands were started, failed to start, run now, and ran out of memory.
    pub fn counts(&self) -> Counts {
        self.host.counters.read()
    }

    /// Describes the sandbox and its weaknesses, one sentence per item. The first call starts a test sandbox and
    /// blocks for some milliseconds.
    pub fn describe(&self) -> Vec<String> {
        self.host.describe()
    }

    /// Creates the workspace and its `output/` folder, and keeps existing files. The workspace gets mode 0700 and the
    /// project's uid.
    ///
    /// # Errors
    /// CONFLICT when the uid range has no uid for the project's number; INTERNAL when the folder cannot be created.
    pub fn make(&self, place: &Place) -> Result<()> {
        self.host.check_number(place.number)?;
        self.open(place.clone()).workspace().make()
    }

    /// Removes the workspace and its content.
    ///
    /// # Errors
    /// INTERNAL when a file or folder cannot be removed.
    pub fn discard(&self, place: &Place) -> Result<()> {
        self.open(place.clone()).workspace().discard()
    }

    /// Returns the sandbox of a project. Does not access the file system.
    pub fn open(&self, place: Place) -> ProjectSandbox {
        // bubblewrap starts in `/`, so a relative path would be wrong.
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

    /// Describes the ending for the model; `None` for exit status 0.
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
