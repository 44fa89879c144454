//! The second seam of the engine: the place where tools run.
//!
//! `Sandboxes` is made once at start and knows what the host offers; `Sandbox` is one project's: commands run in
//! bubblewrap (`sandbox/bwrap.rs`), files are reached by the host side through `Workspace` (`sandbox/workspace.rs`), which
//! opens beneath the workspace only. Nothing ever runs unsandboxed.

mod beneath;
pub mod name;
mod tree;
pub mod walk;
pub mod workspace;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    config,
    error::{Code, Error, Result},
};
pub use walk::{Found, Walk, WalkLimits};
pub use workspace::{Depth, Entry, FileKind, Listing, Metadata, Usage, Workspace};

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
    inner: Arc<Inner>,
}

struct Inner {
    config: config::Sandbox,
}

impl Sandboxes {
    /// Looks at what the host offers. A missing bubblewrap is no error here: commands then answer UNAVAILABLE.
    ///
    /// # Errors
    /// INVALID_REQUEST for what must stop the start, such as a data folder that the projects' uids cannot traverse.
    pub fn detect(config: &config::Sandbox, _data_dir: &Path) -> Result<Self> {
        Ok(Self {
            inner: Arc::new(Inner { config: config.clone() }),
        })
    }

    /// What there is and what is weak, a sentence each, for the start log and `doctor`. Blocks for the probe's milliseconds.
    pub fn facts(&self) -> Vec<String> {
        Vec::new()
    }

    /// What programs the sandbox has, for the system prompt; asked once, in the sandbox itself.
    pub async fn programs(&self) -> &str {
        ""
    }

    /// Makes the workspace, 0700 and the project's own, with `output/`. What is there already stays.
    pub fn make(&self, place: &Place) -> Result<()> {
        self.open(place.clone()).workspace().make()
    }

    /// Removes the workspace with everything in it.
    pub fn discard(&self, place: &Place) -> Result<()> {
        self.open(place.clone()).workspace().discard()
    }

    /// The sandbox of a project; touches nothing yet.
    pub fn open(&self, place: Place) -> Sandbox {
        let _ = &self.inner.config;
        Sandbox {
            workspace: Workspace::at(place.folder.clone(), None),
            place,
        }
    }
}

/// One project's sandbox. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sandbox {
    place: Place,
    workspace: Workspace,
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

    /// Runs a command to its end. `output` gets pieces of the output while it runs, at a bounded rate and not all of a flood.
    /// Dropping the future ends the command as `cancel` does.
    ///
    /// # Errors
    /// UNAVAILABLE when there is no working bubblewrap, with what to do; INVALID_REQUEST for a script that cannot be passed.
    pub async fn execute(
        &self,
        command: Command,
        mut output: impl FnMut(&str) + Send,
        cancel: &CancellationToken,
    ) -> Result<Execution> {
        let _ = (command, cancel);
        output("");
        Err(Error::new(Code::Unavailable, "commands come with the next commit"))
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
            Self::Signalled(signal) => Some(format!("ended by signal {signal}")),
            Self::TimedOut => Some("the command's time was over; it and everything it had started was ended".into()),
            Self::Cancelled => Some("the command was cancelled".into()),
            Self::OutOfMemory => Some("out of memory: the command used more than the sandbox allows".into()),
            Self::DiskFull => Some(
                "disk full: the workspace grew over its limit and the command was ended; remove files before writing more"
                    .into(),
            ),
        }
    }
}
