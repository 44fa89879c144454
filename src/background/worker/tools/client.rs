//! The tools that the caller of `StartRun` runs. The run waits for each result.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::{
    engine::inputs::{Ask, AskKind},
    llm::ToolSpec,
    runs::options::{ClientTool, RunOptions},
    tools::{Effect, Gate, Tool, ToolAnswer, ToolContext, ToolFailure},
};

struct Remote(ClientTool);

pub(in super::super) fn tools(options: &RunOptions) -> Vec<Arc<dyn Tool>> {
    let tools = options.tools.iter().cloned();
    tools.map(|tool| Arc::new(Remote(tool)) as Arc<dyn Tool>).collect()
}

#[async_trait]
impl Tool for Remote {
    fn spec(&self) -> ToolSpec {
        self.0.spec()
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    fn gate(&self, _arguments: &Value) -> Gate {
        Gate::Ask(Ask {
            kind: AskKind::ClientTool,
            schema: Some(self.spec().parameters),
            message: format!("The client must run the tool {} and send its result.", self.0.name),
        })
    }

    /// The engine never calls a tool that always asks for its result.
    async fn call(&self, _arguments: Value, _context: &ToolContext) -> Result<ToolAnswer, ToolFailure> {
        Err(ToolFailure::Reported("only the client can run this tool".to_owned()))
    }
}
