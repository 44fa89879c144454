//! The tool `ask_user`. The run waits for the answer.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::Extra;
use crate::{
    agents::{
        ask::{NAME, spec},
        tools::Access,
    },
    engine::inputs::{Ask, AskKind},
    llm::ToolSpec,
    tools::{Effect, Gate, Tool, ToolAnswer, ToolContext, ToolFailure},
};

struct AskUser;

pub(in super::super) fn add(access: Access<'_>, extra: &mut Extra) {
    if access.allows(NAME) {
        extra.tools.push(Arc::new(AskUser));
    }
}

#[async_trait]
impl Tool for AskUser {
    fn spec(&self) -> ToolSpec {
        spec()
    }

    fn effect(&self) -> Effect {
        Effect::ReadOnly
    }

    fn gate(&self, arguments: &Value) -> Gate {
        let question = arguments.get("question").and_then(Value::as_str);
        Gate::Ask(Ask {
            kind: AskKind::Question,
            schema: None,
            message: question.unwrap_or_default().to_owned(),
        })
    }

    /// The engine never calls a tool that always asks for its result.
    async fn call(&self, _arguments: Value, _context: &ToolContext) -> Result<ToolAnswer, ToolFailure> {
        Err(ToolFailure::Reported("only the user can answer a question".to_owned()))
    }
}
