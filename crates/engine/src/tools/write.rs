//! write: creates or replaces a whole file.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Effect, Tool, ToolAnswer, ToolContext, ToolFailure,
    files::{self, Files},
};
use crate::llm::ToolSpec;

/// Maximum bytes of the content.
pub const MAX_CONTENT_BYTES: usize = 1 << 20;

/// The `write` tool.
pub struct Write;

#[derive(Deserialize)]
struct Arguments {
    path: String,
    content: String,
}

#[async_trait]
impl Tool for Write {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "write".to_owned(),
            description: format!(
                "Creates or replaces a text file in /workspace, and creates missing folders. Use edit to change a part of an \
                 existing file. The maximum content size is {MAX_CONTENT_BYTES} bytes."
            ),
            parameters: json!({
                "type": "object",
                "properties": {
                    "path": {
                        "type": "string", "minLength": 1, "maxLength": 4096,
                        "description": "Path of the file, such as output/report.md or /workspace/output/report.md."
                    },
                    "content": {"type": "string", "description": "The complete content of the file."}
                },
                "required": ["path", "content"],
                "additionalProperties": false
            }),
        }
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    async fn call(&self, arguments: Value, context: &ToolContext) -> Result<ToolAnswer, ToolFailure> {
        let arguments: Arguments = files::arguments(arguments)?;
        files::blocking(context, move |files| write(files, &arguments)).await
    }
}

fn write(files: &Files, Arguments { path, content }: &Arguments) -> Result<ToolAnswer, ToolFailure> {
    if content.len() > MAX_CONTENT_BYTES {
        return Err(ToolFailure::Reported(format!(
            "the content has {} bytes; the maximum is {MAX_CONTENT_BYTES}. Write it in parts or generate it with a script",
            content.len()
        )));
    }
    let was_there = files.workspace.metadata(path).is_ok();
    files
        .workspace
        .write(path, content.as_bytes())
        .map_err(|error| files::told(path, &error))?;
    let what = if was_there { "replaced" } else { "created" };
    Ok(files::whole(format!(
        "{what} {path}: {} bytes, {} lines",
        content.len(),
        content.lines().count()
    )))
}
