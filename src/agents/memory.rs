//! Memory settings of an agent version, and the specs of the memory tools. The module `memories` implements the tools.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::llm::ToolSpec;

pub const NAMES: [&str; 3] = ["remember", "recall", "forget"];

/// Maximum number of memories in a result of `recall`.
pub const MAX_RECALLED: u64 = 20;

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct MemorySettings {
    /// Whether runs use memory, unless their `StartRun` request says otherwise.
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

pub fn specs() -> [ToolSpec; 3] {
    [remember(), recall(), forget()]
}

pub fn remember() -> ToolSpec {
    ToolSpec {
        name: "remember".to_owned(),
        description:
            "Stores a fact that will help in later conversations, such as a preference or a decision of the user. \
                      Store one short fact per call, in a sentence that can be understood without this conversation. \
                      Never store passwords or other secrets."
                .to_owned(),
        parameters: json!({
            "type": "object",
            "properties": {"text": {"type": "string", "minLength": 1, "description": "The fact."}},
            "required": ["text"],
            "additionalProperties": false
        }),
    }
}

pub fn recall() -> ToolSpec {
    ToolSpec {
        name: "recall".to_owned(),
        description: format!(
            "Searches the facts that were stored in earlier conversations. Returns up to {MAX_RECALLED} facts with their ids, \
             best match first. Without a query, returns the latest facts."
        ),
        parameters: json!({
            "type": "object",
            "properties": {
                "query": {"type": "string", "maxLength": 1000, "description": "Words to search for. Any of them may match."}
            },
            "additionalProperties": false
        }),
    }
}

pub fn forget() -> ToolSpec {
    ToolSpec {
        name: "forget".to_owned(),
        description:
            "Deletes a stored fact for good, for example because it is no longer true or because the user asks for it. \
                      The tool recall returns the ids of facts."
                .to_owned(),
        parameters: json!({
            "type": "object",
            "properties": {"memory_id": {"type": "string", "description": "The id of the fact."}},
            "required": ["memory_id"],
            "additionalProperties": false
        }),
    }
}
