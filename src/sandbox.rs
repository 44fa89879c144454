//! The second seam of the engine: the place where tools run.
//!
//! `Sandboxes` is made once at start and knows what the host offers; `Sandbox` is one project's: commands run in
//! bubblewrap (`sandbox/bwrap.rs`), files are reached by the host side through `Workspace` (`sandbox/workspace.rs`), which
//! opens beneath the workspace only. Nothing ever runs unsandboxed.

mod advice;
mod archive;
mod beneath;
mod bwrap;
mod cgroup;
mod child;
mod confine;
mod environment;
mod execute;
mod gate;
mod held;
mod hierarchy;
mod host;
mod meter;
mod offer;
mod output;
mod processes;
mod reading;
mod remains;
mod screen;
mod seccomp;
mod settings;
mod spawner;
mod start;
mod terminal;
mod tree;
mod uploads;
pub mod walk;
pub mod workspace;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{OnceCell, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    config,
    error::{Error, Result},
};
pub use archive::Archive;
use host::Host;
use start::Cell;
pub use walk::{Found, Walk, WalkLimits};
pub use workspace::{Depth, Entry, FileKind, Listing, Metadata, Usage, Workspace};

/// Pieces of live output that wait for their watcher.
const LIVE_PIECES: usize = 16;

/// A sandbox that may have to be made first.
#[async_trait::async_trait]
pub trait Workplace: Send + Sync {
    /// The sandbox; made at the first call.
    ///
    /// # Errors
    /// Those of the database and of the file system.
    async fn open(&self) -> Result<Arc<Sandbox>>;
}

#[async_trait::async_trait]
impl Workplace for Sandbox {
    async fn open(&self) -> Result<Arc<Sandbox>> {
        Ok(Arc::new(self.clone()))
    }
}

/// Where a project's workspace lies and whom it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder of the workspace on the host.
    pub folder: PathBuf,
    /// The project's number, from 0; the uid of its commands is `uid_base` plus it when the service runs as root.
    pub number: u32,
}

/// What to run: a script for bash, with `/workspace` as the working directory and home.
#[derive(Clone, Debug)]
pub struct Command {
    /// The script, given to `bash -c`; at most 128 KiB, without NUL.
    pub script: String,
    /// How long it may take; cut to the configured maximum.
    pub timeout: Duration,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// Output and errors as they came: head and tail, as UTF-8, without escape sequences.
    pub text: String,
    /// Whether the middle of the output was left out.
    pub truncated: bool,
    /// How it ended.
    pub ending: Ending,
}

/// How a command ended. Nothing that it started lives on, whatever the ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With this exit status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// Its time was over.
    TimedOut,
    /// The caller cancelled it.
    Cancelled,
    /// It used more memory than allowed.
    OutOfMemory,
    /// The workspace grew over its limit of bytes or files.
    DiskFull,
}

/// The sandboxes of this host. Cheap to clone.
#[derive(Clone)]
pub struct Sandboxes {
    host: Arc<Host>,
    programs: Arc<OnceCell<String>>,
}

/// One project's sandbox. Cheap to clone.
#[derive(Clone)]
pub struct Sandbox {
    place: Place,
    workspace: Workspace,
    host: Arc<Host>,
}

impl Sandboxes {
    /// Looks at what the host offers. A missing bubblewrap is no error here: commands then answer UNAVAILABLE.
    ///
    /// # Errors
    /// `INVALID_REQUEST` for what must stop the start, such as a data folder that the projects' uids cannot walk to.
    pub fn detect(config: &config::Sandbox, data_dir: &Path) -> Result<Self> {
        Ok(Self {
            host: Arc::new(Host::detect(config, data_dir)?),
            programs: Arc::default(),
        })
    }

    /// Whether commands can run on this host. Blocks some milliseconds for the probe if it is the first to need it.
    ///
    /// # Errors
    /// UNAVAILABLE with what is missing and what to do.
    pub fn check(&self) -> Result<()> {
        self.host.layout(None).map(drop)
    }

    /// What there is and what is weak, a sentence each, for the start log and `doctor`. Blocks some milliseconds for the
    /// probe when it is the first to need it.
    pub fn facts(&self) -> Vec<String> {
        self.host.facts()
    }

    /// Makes the workspace, 0700 and the project's own, with `output/`. What is there already stays.
    ///
    /// # Errors
    /// CONFLICT when there are no uids left; INTERNAL when the folder cannot be made.
    pub fn make(&self, place: &Place) -> Result<()> {
        self.host.check_number(place.number)?;
        self.open(place.clone()).workspace().make()
    }

    /// Removes the workspace with everything in it.
    ///
    /// # Errors
    /// INTERNAL when something cannot be removed.
    pub fn discard(&self, place: &Place) -> Result<()> {
        self.open(place.clone()).workspace().discard()
    }

    /// The sandbox of a project; touches nothing yet.
    pub fn open(&self, place: Place) -> Sandbox {
        // The child of a command stands in another folder than the service.
        let folder = std::path::absolute(&place.folder).unwrap_or_else(|_| place.folder.clone());
        Sandbox {
            workspace: Workspace::at(folder, self.host.owner(place.number)),
            place,
            host: Arc::clone(&self.host),
        }
    }
}

impl Sandbox {
    /// Where the workspace lies.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The files, from the host's side.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// How long a command takes at most when nobody says.
    pub fn default_timeout(&self) -> Duration {
        Duration::from_secs(self.host.config.default_timeout_seconds)
    }

    /// How long a command takes at most, whatever is said.
    pub fn max_timeout(&self) -> Duration {
        Duration::from_secs(self.host.config.max_timeout_seconds)
    }

    /// Runs a command to its end. `output` gets pieces of the output while it runs, at a bounded rate and not all of a flood.
    /// Dropping the future ends the command as `cancel` does.
    ///
    /// # Errors
    /// UNAVAILABLE when there is no working bubblewrap, with what to do; `INVALID_REQUEST` for a script that cannot be passed;
    /// `FILE_NOT_FOUND` when the workspace was not made.
    pub async fn execute(
        &self,
        command: Command,
        output: impl FnMut(&str) + Send,
        cancel: &CancellationToken,
    ) -> Result<Execution> {
        let cell = Cell {
            host: Arc::clone(&self.host),
            workspace: Some(self.workspace.clone()),
            owner: self.host.owner(self.place.number),
        };
        run(cell, command, output, cancel).await
    }
}

/// Runs a command in a task of its own, so that it is cleared away whoever goes away.
async fn run(
    cell: Cell,
    command: Command,
    mut output: impl FnMut(&str) + Send,
    cancel: &CancellationToken,
) -> Result<Execution> {
    let stop = cancel.child_token();
    let _stop_when_dropped = stop.clone().drop_guard();
    let (sender, mut pieces) = mpsc::channel::<String>(LIVE_PIECES);
    let task = tokio::spawn(execute::run(cell, command, sender, stop));
    // The sender goes when the output has ended.
    while let Some(piece) = pieces.recv().await {
        output(&piece);
    }
    task.await
        .map_err(|error| Error::internal("running the command failed", error))?
}

impl fmt::Debug for Sandboxes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandboxes").finish_non_exhaustive()
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Ending {
    /// Whether the command ended by itself with status 0.
    pub fn is_success(self) -> bool {
        self == Self::Exited(0)
    }

    /// A sentence for the model, or nothing for status 0.
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
