//! bash: runs a command in the sandbox.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use async_trait::async_trait;
use runyard_sandbox::{Command, CommandEnd, MAX_SCRIPT_BYTES};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Effect, Tool, ToolAnswer, ToolContext, ToolFailure,
    background::{self, STARTED},
    files,
};
use crate::llm::ToolSpec;

/// Maximum bytes of a command: the sandbox's limit for scripts.
pub const MAX_COMMAND_BYTES: usize = MAX_SCRIPT_BYTES;

/// Name of the tool.
/// Name of the tool.
pub const NAME: &str = "bash";

/// The `bash` tool.
pub struct Bash;

#[derive(Deserialize)]
struct Arguments {
    command: String,
    timeout_seconds: Option<u64>,
    #[serde(default)]
    background: bool,
}

#[async_trait]
impl Tool for Bash {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: NAME.to_owned(),
            description: format!(
                "Runs a bash command in the sandbox, in /workspace. There is no network, unless the system prompt says otherwise. \
                 The system prompt lists the installed programs and the limits on memory, processes, disk and time. Only files in /workspace are kept between calls; variables and the working directory are not. With \
                 background, the command keeps running after the call, until the run ends. The command has no terminal and cannot ask for input. Set timeout_seconds for a command \
                 that takes minutes. The maximum command size is {MAX_COMMAND_BYTES} bytes. Long output is cut in the middle; \
                 write it to a file if you need all of it. The result ends with the exit status."
            ),
            parameters: json!({
                "type": "object",
                "properties": {
                    "command": {"type": "string", "minLength": 1, "description": "The command or script for bash."},
                    "timeout_seconds": {
                        "type": "integer", "minimum": 1,
                        "description": "Time limit in seconds, up to the sandbox's maximum. With background, there is no maximum."
                    },
                    "background": {
                        "type": "boolean",
                        "description": "Start the command and return at once with its id, for bash_output and bash_kill. The process shares \
                                        /workspace with other commands, but not the loopback network: other commands cannot connect to a \
                                        server in it, so start a server and its client in the same command."
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
            background,
        } = files::arguments(arguments)?;
        let most = if background {
            background::MAX_COMMAND_BYTES
        } else {
            MAX_COMMAND_BYTES
        };
        if command.len() > most {
            return Err(ToolFailure::Reported(format!(
                "the command is {} bytes long; the maximum is {most}. Write it to a file and run that file",
                command.len()
            )));
        }
        let sandbox = context.sandbox().await?;
        if background {
            let time_limit = timeout_seconds.map(Duration::from_secs);
            let starting = context.background.start(&*sandbox, &command, time_limit);
            let id = tokio::select! {
                id = starting => id?,
                () = context.cancel.cancelled() => return Err(files::stopped()),
            };
            return Ok(files::whole(format!(
                "{STARTED}{id} in the background; read its output with bash_output and end it with bash_kill]"
            )));
        }
        let most = sandbox.max_timeout();
        let timeout = timeout_seconds
            .map_or(sandbox.default_timeout(), Duration::from_secs)
            .min(most);
        let output = Arc::clone(&context.output);
        let execution = sandbox
            .execute(
                Command {
                    script: command,
                    timeout,
                },
                &mut move |piece| output(piece.to_owned()),
                &context.cancel,
            )
            .await
            .map_err(|error| files::told("bash", &error))?;
        let ending = match execution.ending.describe() {
            None => "exit status 0".to_owned(),
            Some(ending) if execution.ending == CommandEnd::TimedOut => {
                format!(
                    "{ending}; the limit was {} seconds, and timeout_seconds can be up to {}",
                    timeout.as_secs(),
                    most.as_secs()
                )
            }
            Some(ending) => ending,
        };
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
            images: Vec::new(),
        })
    }
}
