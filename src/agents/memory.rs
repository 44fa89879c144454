//! Memory settings of an agent version. The module `memories` stores the memories.

use serde::{Deserialize, Serialize};

/// Memory settings of an agent version.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct MemorySettings {
    /// True if runs use memory unless the `StartRun` request turns it off.
    pub enabled: bool,
    pub scope: MemoryScope,
}

/// The memories that the runs of an agent use.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryScope {
    /// The memories of the agent.
    #[default]
    Agent,
    /// The memories of the account, which all agents with this scope share.
    Account,
}
