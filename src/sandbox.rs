//! The second seam of the engine: the place where tools run.
//!
//! `Sandboxes` is made once at start and knows what the host offers; `Sandbox` is one project's: commands run in
//! bubblewrap (`sandbox/bwrap.rs`), files are reached by the host side through `Workspace` (`sandbox/workspace.rs`), which
//! opens beneath the workspace only. Nothing ever runs unsandboxed.

use std::path::PathBuf;

/// Where a project's workspace lies and whom it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder of the workspace on the host.
    pub folder: PathBuf,
    /// The project's number, from 0; the uid of its commands is `uid_base` plus it when the service runs as root.
    pub number: u32,
}

/// One project's sandbox.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// Where the workspace lies.
    pub place: Place,
}
