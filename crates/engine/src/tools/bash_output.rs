//! `bash_output`: reads the new output of a background process.

use std::{fmt::Write as _, time::Duration};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    Effect, Tool, ToolAnswer, ToolContext, ToolFailure,
    background::{ENDED, MAX_UNREAD_BYTES, Process},
    files,
};
use crate::llm::ToolSpec;

/// The `bash_output` tool.
pub struct BashOutput;

#[derive(Deserialize)]
struct Arguments {
    id: String,
    #[serde(default)]
    wait_seconds: u64,
    #[serde(default)]
    wait_for: WaitFor,
}

/// The event that ends the wait before its time limit.
#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum WaitFor {
    #[default]
    Output,
    End,
}

#[async_trait]
impl Tool for BashOutput {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "bash_output".to_owned(),
            description: format!(
                "Returns the output of a background process since the last call, and whether the process still runs. With \
                 wait_seconds, waits for new output (or, with wait_for \"end\", for the end of the process) before it returns. \
                 The last {} KiB of unread output are kept.",
                MAX_UNREAD_BYTES >> 10
            ),
            parameters: json!({
                "type": "object",
                "properties": {
                    "id": {"type": "string", "description": "The id that bash returned, such as bash_1."},
                    "wait_seconds": {
                        "type": "integer", "minimum": 0,
                        "description": "Maximum wait in seconds, up to the sandbox's time limit for commands. Default: 0."
                    },
                    "wait_for": {
                        "type": "string", "enum": ["output", "end"],
                        "description": "What to wait for: new output (default) or the end of the process."
                    }
                },
                "required": ["id"],
                "additionalProperties": false
            }),
        }
    }

    fn effect(&self) -> Effect {
        Effect::ReadOnly
    }

    async fn call(&self, arguments: Value, context: &ToolContext) -> Result<ToolAnswer, ToolFailure> {
        let Arguments {
            id,
            wait_seconds,
            wait_for,
        } = files::arguments(arguments)?;
        let process = context.background.find(&id)?;
        let most = Duration::from_secs(wait_seconds).min(context.sandbox().await?.max_timeout());
        if !most.is_zero() {
            let mut state = process.state.subscribe();
            let awaited = state
                .wait_for(|state| state.end.is_some() || (wait_for == WaitFor::Output && state.output.is_unread()));
            tokio::select! {
                // After the time limit, the answer says that the process still runs.
                _ = timeout(most, awaited) => {}
                () = context.cancel.cancelled() => return Err(files::stopped()),
            }
        }
        Ok(answer(&process))
    }
}

/// Returns the unread output of a process, followed by its status.
pub(super) fn answer(process: &Process) -> ToolAnswer {
    let (output, dropped, end) = process.read();
    let mut text = String::new();
    if dropped > 0 {
        text = format!("[... {dropped} bytes of older output were dropped ...]\n");
    }
    text.push_str(if output.is_empty() { "(no new output)" } else { &output });
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let _ = match end {
        Some(end) => write!(text, "{ENDED}{end}]"),
        None => write!(
            text,
            "[still running after {} s]",
            process.started_at.elapsed().as_secs()
        ),
    };
    ToolAnswer {
        text,
        is_error: false,
        truncated: dropped > 0,
        images: Vec::new(),
    }
}
