//! bash: runs a command in the sandbox.

use std::fmt::Write as _;
use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Effect, Tool, ToolAnswer, ToolContext, ToolFailure, files};
use crate::{llm::ToolSpec, sandbox::Command};

/// How long a command may take when the model does not say.
pub const DEFAULT_TIMEOUT_SECONDS: u64 = 120;
/// The longest script that can be passed to bash.
pub const MAX_COMMAND_BYTES: usize = 128 << 10;

/// The tool.
pub struct Bash;

#[derive(Deserialize)]
struct Arguments {
    command: String,
    timeout_seconds: Option<u64>,
}

#[async_trait]
impl Tool for Bash {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "bash".to_owned(),
            description: format!(
                "Runs a command with bash in the sandbox, in /workspace. Nothing is kept between calls but files: no \
                 variables, no working folder, no background processes. There is no terminal and nobody to answer prompts. \
                 A command may take {DEFAULT_TIMEOUT_SECONDS} seconds; set timeout_seconds for longer ones. Of long output you \
                 see the head and the tail; write it to a file when you need all of it. The answer ends with the exit status."
            ),
            parameters: json!({
                "type": "object",
                "properties": {
                    "command": {"type": "string", "minLength": 1, "description": "The command or script for bash."},
                    "timeout_seconds": {
                        "type": "integer", "minimum": 1,
                        "description": "How long it may take; cut to the sandbox's maximum."
                    }
                },
                "required": ["command"],
                "additionalProperties": false
            }),
        }
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    async fn call(&self, arguments: Value, context: &ToolContext) -> Result<ToolAnswer, ToolFailure> {
        let Arguments {
            command,
            timeout_seconds,
        } = files::arguments(arguments)?;
        if command.len() > MAX_COMMAND_BYTES {
            return Err(ToolFailure::Told(format!(
                "the command is {} bytes long; at most {MAX_COMMAND_BYTES} can be passed. Write it to a file and run that",
                command.len()
            )));
        }
        let timeout = Duration::from_secs(timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS));
        let output = Arc::clone(&context.output);
        let execution = context
            .sandbox
            .execute(
                Command {
                    script: command,
                    timeout,
                },
                move |piece| output(piece.to_owned()),
                &context.cancel,
            )
            .await
            .map_err(|error| ToolFailure::Told(error.message().to_owned()))?;
        let ending = execution
            .ending
            .describe()
            .unwrap_or_else(|| "exit status 0".to_owned());
        let mut text = execution.text;
        if text.is_empty() {
            text.push_str("(no output)");
        }
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let _ = write!(text, "[{ending}]");
        Ok(ToolAnswer {
            text,
            is_error: !execution.ending.is_success(),
            truncated: execution.truncated,
        })
    }
}
