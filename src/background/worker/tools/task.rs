//! The tool `task`. The run waits for the result of the subagent (`runs::tasks`).

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::Extra;
use crate::{
    accounts::Scope,
    agents::{
        Agent,
        subagents::{self, NAME},
        tools::Access,
    },
    app::App,
    engine::inputs::{Ask, AskKind},
    error::Result,
    llm::ToolSpec,
    runs::{Run, tasks},
    tools::{Effect, Gate, Tool, ToolAnswer, ToolContext, ToolFailure},
};

struct Task {
    agents: Vec<Agent>,
}

pub(in super::super) async fn add(app: &App, run: &Run, access: Access<'_>, extra: &mut Extra) -> Result<()> {
    if !access.allows(NAME) || !tasks::may_start(app, run).await? {
        return Ok(());
    }
    let agents = subagents::list(app.db.read(), Scope::account(run.account_id)).await?;
    if !agents.is_empty() {
        extra.tools.push(Arc::new(Task { agents }));
    }
    Ok(())
}

#[async_trait]
impl Tool for Task {
    fn spec(&self) -> ToolSpec {
        subagents::spec_for(&self.agents)
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    fn gate(&self, arguments: &Value) -> Gate {
        let asked = arguments.get("agent").and_then(Value::as_str).unwrap_or_default();
        match subagents::find(&self.agents, asked) {
            Ok(_) => Gate::Ask(Ask {
                kind: AskKind::Task,
                schema: None,
                message: String::new(),
            }),
            Err(told) => Gate::Closed(told),
        }
    }

    /// The engine never calls a tool that always asks for its result.
    async fn call(&self, _arguments: Value, _context: &ToolContext) -> std::result::Result<ToolAnswer, ToolFailure> {
        Err(ToolFailure::Reported("only the server can start a subagent".to_owned()))
    }
}
