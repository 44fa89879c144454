//! edit: replaces an exact string in a file.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Effect, Tool, ToolAnswer, ToolContext, ToolFailure,
    diff::{Change, unified},
    files::{self, Files},
};
use crate::llm::ToolSpec;

/// Maximum bytes of the file, before and after the edit.
pub const MAX_FILE_BYTES: u64 = 8 << 20;
/// Maximum number of line numbers in an error text.
const NAMED_PLACES: usize = 10;

/// The `edit` tool.
pub struct Edit;

#[derive(Deserialize)]
struct Arguments {
    path: String,
    old_string: String,
    new_string: String,
    #[serde(default)]
    replace_all: bool,
}

#[async_trait]
impl Tool for Edit {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "edit".to_owned(),
            description: format!(
                "Replaces an exact string in a text file in /workspace and returns a diff. old_string must match exactly, \
                 including white space, and must occur exactly once unless replace_all is true: include enough surrounding \
                 lines to make it unique. Do not include the line numbers that read shows. The maximum file size is \
                 {MAX_FILE_BYTES} bytes."
            ),
            parameters: json!({
                "type": "object",
                "properties": {
                    "path": {"type": "string", "minLength": 1, "maxLength": 4096, "description": "Path of the file."},
                    "old_string": {"type": "string", "minLength": 1, "description": "The exact text to replace."},
                    "new_string": {"type": "string", "description": "The new text."},
                    "replace_all": {"type": "boolean", "description": "True to replace every occurrence."}
                },
                "required": ["path", "old_string", "new_string"],
                "additionalProperties": false
            }),
        }
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    async fn call(&self, arguments: Value, context: &ToolContext) -> Result<ToolAnswer, ToolFailure> {
        let arguments: Arguments = files::arguments(arguments)?;
        files::blocking(context, move |files| edit(files, arguments)).await
    }
}

fn edit(files: &Files, mut arguments: Arguments) -> Result<ToolAnswer, ToolFailure> {
    let told = |text: String| Err(ToolFailure::Reported(text));
    let path = arguments.path.clone();
    if arguments.old_string == arguments.new_string {
        return told("old_string and new_string are the same, so nothing would change".to_owned());
    }
    let bytes = files
        .workspace
        .read(&path, MAX_FILE_BYTES)
        .map_err(|error| files::told(&path, &error))?;
    let Ok(text) = String::from_utf8(bytes) else {
        return told(format!("{path} is not UTF-8 text; change it with a script"));
    };
    if !text.contains(&arguments.old_string) && text.contains("\r\n") {
        // Models write LF line endings. For a file with CRLF line endings, both strings are converted.
        arguments.old_string = to_dos(&arguments.old_string);
        arguments.new_string = to_dos(&arguments.new_string);
    }
    let places: Vec<usize> = text
        .match_indices(&arguments.old_string)
        .map(|(place, _)| place)
        .collect();
    if places.is_empty() {
        return told(format!(
            "old_string was not found in {path}{}",
            near_miss(&text, &arguments.old_string)
        ));
    }
    if places.len() > 1 && !arguments.replace_all {
        return told(format!(
            "old_string occurs {} times in {path} ({}); include more surrounding lines, or set replace_all",
            places.len(),
            line_list(&text, &places)
        ));
    }
    let size = text.len() - places.len() * arguments.old_string.len() + places.len() * arguments.new_string.len();
    if size as u64 > MAX_FILE_BYTES {
        return told(format!(
            "{path} would have {size} bytes; the maximum for edit is {MAX_FILE_BYTES}. Change it with a script"
        ));
    }
    let edited = text.replace(&arguments.old_string, &arguments.new_string);
    files
        .workspace
        .write(&path, edited.as_bytes())
        .map_err(|error| files::told(&path, &error))?;
    let changes: Vec<Change> = places
        .iter()
        .map(|start| Change {
            start: *start,
            old_bytes: arguments.old_string.len(),
            new: &arguments.new_string,
        })
        .collect();
    let count = if places.len() == 1 {
        String::new()
    } else {
        format!(" in {} places", places.len())
    };
    Ok(files::whole(format!(
        "changed {path}{count}\n{}",
        unified(&text, &changes)
    )))
}

fn to_dos(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

fn line_of(text: &str, place: usize) -> usize {
    text[..place].matches('\n').count() + 1
}

fn line_list(text: &str, places: &[usize]) -> String {
    let named: Vec<String> = places
        .iter()
        .take(NAMED_PLACES)
        .map(|place| line_of(text, *place).to_string())
        .collect();
    let more = if places.len() > NAMED_PLACES { ", …" } else { "" };
    format!("lines {}{more}", named.join(", "))
}

/// Returns a hint for the model. The hint names a passage that differs from `wanted` only in white space, or advises
/// to read the file.
fn near_miss(text: &str, wanted: &str) -> String {
    let wanted: Vec<&str> = wanted.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let lines: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty())
        .collect();
    let found = (!wanted.is_empty())
        .then(|| {
            lines
                .windows(wanted.len())
                .find(|window| window.iter().map(|(_, line)| *line).eq(wanted.iter().copied()))
        })
        .flatten()
        .and_then(|window| window.first());
    match found {
        Some((line, _)) => format!("; line {line} has the same text with different white space"),
        None => "; read the file and copy the text exactly".to_owned(),
    }
}
