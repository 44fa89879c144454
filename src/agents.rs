//! Agents and their versions. A run is pinned to the version that is current when the run starts.

pub mod approvals;
pub mod ask;
pub mod create;
pub mod default;
pub mod delete;
pub mod icons;
pub mod list;
pub mod mcp;
pub mod memory;
pub mod rules;
pub mod subagents;
mod table;
pub mod tools;
pub mod update;
pub mod version;
pub mod web;

pub use create::{NewAgent, create};
pub use delete::delete;
pub use list::{Listing, Order, list, load};
pub use memory::{MemoryScope, MemorySettings};
pub use table::version::Model as AgentVersion;
pub use update::{AgentChange, Change, ContentChange, update};

use table::agent;

/// An agent with its current version.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    pub row: agent::Model,
    pub version: AgentVersion,
}

impl Agent {
    /// Returns whether the last change of the agent made the current version.
    pub fn has_new_version(&self) -> bool {
        self.row.updated_at == self.version.created_at
    }
}
