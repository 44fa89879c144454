//! `bash_kill`: ends a background process.

use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Effect, Tool, ToolAnswer, ToolContext, ToolFailure, bash_output::answer, files};
use crate::llm::ToolSpec;

/// Maximum time to wait for the killed process to end. The sandbox needs less.
const DEATH: Duration = Duration::from_secs(15);

/// The `bash_kill` tool.
pub struct BashKill;

#[derive(Deserialize)]
struct Arguments {
    id: String,
}

#[async_trait]
impl Tool for BashKill {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "bash_kill".to_owned(),
            description: "Ends a background process and everything that it has started. Returns its last output."
                .to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "id": {"type": "string", "description": "The id that bash returned, such as bash_1."}
                },
                "required": ["id"],
                "additionalProperties": false
            }),
        }
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    async fn call(&self, arguments: Value, context: &ToolContext) -> Result<ToolAnswer, ToolFailure> {
        let Arguments { id } = files::arguments(arguments)?;
        let process = context.background.find(&id)?;
        process.stop.cancel();
        let mut state = process.state.subscribe();
        if timeout(DEATH, state.wait_for(|state| state.end.is_some()))
            .await
            .is_err()
        {
            return Err(ToolFailure::Reported(format!(
                "{id} has not ended yet; read its status with bash_output"
            )));
        }
        Ok(answer(&process))
    }
}
