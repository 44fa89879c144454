//! Makes a tool of an MCP server available to a run.

use std::sync::Arc;

use async_trait::async_trait;
use runyard_mcp::{ListedTool, Outcome, Rendered};
use serde_json::Value;

use super::{questions, remote::Remote, saved};
use crate::{
    llm::ToolSpec,
    tools::{Effect, Tool, ToolAnswer, ToolContext, ToolFailure},
};

pub struct McpTool {
    remote: Arc<Remote>,
    /// The tool's name on the server.
    tool: String,
    spec: ToolSpec,
}

impl McpTool {
    pub(super) fn new(remote: &Arc<Remote>, listed: &ListedTool, name: String, parameters: Value) -> Self {
        Self {
            remote: Arc::clone(remote),
            tool: listed.name.clone(),
            spec: ToolSpec {
                name,
                description: listed.description.clone(),
                parameters,
            },
        }
    }

    pub fn server(&self) -> &str {
        &self.remote.server().name
    }
}

#[async_trait]
impl Tool for McpTool {
    fn spec(&self) -> ToolSpec {
        self.spec.clone()
    }

    // A server may claim that a tool only reads, but nothing verifies this claim. Every tool therefore counts as
    // changing, and an interrupted call is never repeated.
    fn effect(&self) -> Effect {
        Effect::Changes
    }

    async fn call(&self, arguments: Value, context: &ToolContext) -> Result<ToolAnswer, ToolFailure> {
        let Value::Object(arguments) = arguments else {
            return Err(ToolFailure::Reported("the arguments must be a JSON object".to_owned()));
        };
        let continuation = context.continuation.as_ref().map(questions::continuation);
        let called = self
            .remote
            .call(
                &self.tool,
                arguments,
                &context.output,
                &context.cancel,
                continuation.unwrap_or_default(),
            )
            .await;
        if called.declines {
            let server = self.server();
            (context.notice)(format!(
                "MCP server {server:?} asked the user a question while a call was running, and Runyard declined it. Runs can \
                 only wait for questions of servers with protocol revision 2026-07-28."
            ));
        }
        let (rendered, is_error) = match called.outcome {
            Outcome::Answered(rendered) => (rendered, false),
            Outcome::Reported(rendered) => (rendered, true),
            Outcome::Unknown(why) => {
                return Err(ToolFailure::Reported(format!(
                    "outcome unknown: {why}. The tool may or may not have had its effect, and the call is not repeated. Find \
                     out what happened before you call it again"
                )));
            }
            Outcome::NotStarted(why) => {
                return Err(ToolFailure::Reported(format!("the tool was not started: {why}")));
            }
            Outcome::Asked(asked) => {
                return Err(match questions::inputs(asked) {
                    Ok(questions) => ToolFailure::Asks(questions),
                    Err(why) => unanswerable(&why),
                });
            }
            Outcome::Unanswerable(why) => return Err(unanswerable(&why)),
        };
        let Rendered {
            mut text,
            truncated,
            attachments,
        } = rendered;
        let mut images = Vec::new();
        if !attachments.is_empty() {
            let files = context.sandbox().await?.files();
            let (lines, shown) = saved::save(files, &self.spec.name, attachments).await;
            text.push_str(&lines);
            images = shown;
        }
        Ok(ToolAnswer {
            text,
            is_error,
            truncated,
            images,
        })
    }
}

fn unanswerable(why: &str) -> ToolFailure {
    ToolFailure::Reported(format!(
        "the call did not end: {why}. The tool may have done a part of its work"
    ))
}
