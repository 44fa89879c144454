//! The sources of tools beyond the core tools, one file per source. `job` asks each source for the tools of a run.

pub(super) mod mcp;
pub(super) mod memory;
pub(super) mod skills;

use std::sync::Arc;

use crate::{sandbox::ReadOnlyFolder, tools::Tool};

/// The tools, prompt sections and folders that all sources add to a run.
#[derive(Default)]
pub(super) struct Extra {
    pub(super) tools: Vec<Arc<dyn Tool>>,
    /// Sections of the system prompt.
    pub(super) sections: Vec<String>,
    /// Folders that the sandbox mounts.
    pub(super) folders: Vec<ReadOnlyFolder>,
}
