//! The sources of tools beyond the core tools, one file per source. `job` asks each source for the tools of a run.

pub(super) mod memory;

use std::sync::Arc;

use crate::tools::Tool;

/// Additions of the sources to a run.
#[derive(Default)]
pub(super) struct Extra {
    pub(super) tools: Vec<Arc<dyn Tool>>,
    /// Sections of the system prompt.
    pub(super) sections: Vec<String>,
}
