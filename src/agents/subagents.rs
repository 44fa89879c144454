//! The spec of the tool `task`, which starts another agent of the account. `background/worker/tools/task.rs` implements the
//! tool.

use std::fmt::Write;

use sea_orm::ConnectionTrait;
use serde_json::json;
use uuid::Uuid;

use super::{
    Agent,
    list::{self, Listing, Order},
};
use crate::{accounts::Scope, error::Result, llm::ToolSpec};

pub const NAME: &str = "task";
/// Maximum number of agents that the model can choose from. The most recently changed ones are offered.
const MAX_AGENTS: u64 = 50;
/// Maximum length of an agent's description in characters.
const MAX_DESCRIPTION: usize = 200;

/// Lists the agents that a run can start.
///
/// # Errors
/// Database errors.
pub async fn list(db: &impl ConnectionTrait, scope: Scope) -> Result<Vec<Agent>> {
    let listing = Listing {
        order: Order::ChangedFirst,
        limit: MAX_AGENTS,
        ..Listing::default()
    };
    list::list(db, scope, &listing).await
}

/// Finds an agent by its name or id. The error is a text for the model.
pub fn find(agents: &[Agent], asked: &str) -> std::result::Result<Uuid, String> {
    let by_id = asked.parse::<Uuid>().ok();
    let mut found = agents
        .iter()
        .filter(|agent| Some(agent.row.id) == by_id || agent.row.name == asked);
    match (found.next(), found.next()) {
        (Some(agent), None) => Ok(agent.row.id),
        (Some(_), Some(_)) => Err(format!("several agents are named {asked:?}; use the id of one of them")),
        (None, _) => Err(format!(
            "there is no agent {asked:?}; the agents are {}",
            names(agents).join(", ")
        )),
    }
}

fn names(agents: &[Agent]) -> Vec<&str> {
    agents.iter().map(|agent| agent.row.name.as_str()).collect()
}

/// The spec without the list of agents, for lists of tools.
pub fn spec() -> ToolSpec {
    spec_for(&[])
}

pub fn spec_for(agents: &[Agent]) -> ToolSpec {
    let mut description = "Gives a task to another agent and waits for its answer. The other agent works with the same files, but \
                           does not see this conversation, so the prompt must contain all that it needs to know. Several \
                           calls in one answer run at the same time."
        .to_owned();
    if !agents.is_empty() {
        description.push_str("\nAgents (name, id, purpose):");
    }
    for Agent { row: agent, .. } in agents {
        let purpose: String = agent
            .description
            .as_deref()
            .unwrap_or_default()
            .chars()
            .take(MAX_DESCRIPTION)
            .collect();
        let _ = write!(description, "\n- {}, {}, {purpose}", agent.name, agent.id);
    }
    ToolSpec {
        name: NAME.to_owned(),
        description,
        parameters: json!({
            "type": "object",
            "properties": {
                "agent": {"type": "string", "minLength": 1, "maxLength": 100, "description": "Name or id of the agent."},
                "prompt": {"type": "string", "minLength": 1, "maxLength": 100_000, "description": "The task."}
            },
            "required": ["agent", "prompt"],
            "additionalProperties": false
        }),
    }
}
