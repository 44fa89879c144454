//! glob: finds files by path pattern, newest first.

use std::{cmp::Reverse, fmt::Write as _, time::SystemTime};

use async_trait::async_trait;
use globset::{GlobBuilder, GlobMatcher};
use runyard_sandbox::{FileKind, WalkLimits};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Effect, Tool, ToolAnswer, ToolContext, ToolFailure,
    files::{self, Files},
};
use crate::llm::ToolSpec;

/// Maximum number of files in a result.
pub const MAX_FILES: usize = 200;

/// The `glob` tool.
pub struct Glob;

#[derive(Deserialize)]
struct Arguments {
    pattern: String,
    #[serde(default = "here")]
    path: String,
}

fn here() -> String {
    ".".to_owned()
}

#[async_trait]
impl Tool for Glob {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "glob".to_owned(),
            description: format!(
                "Finds files in /workspace whose path matches a glob pattern, such as **/*.csv or src/*.{{rs,toml}}. Returns up \
                 to {MAX_FILES} paths, newest first. A pattern without a slash matches file names at any depth. Symbolic \
                 links are not followed."
            ),
            parameters: json!({
                "type": "object",
                "properties": {
                    "pattern": {"type": "string", "minLength": 1, "maxLength": 1024, "description": "The glob pattern."},
                    "path": {
                        "type": "string", "minLength": 1, "maxLength": 4096,
                        "description": "The folder to search; the default is /workspace."
                    }
                },
                "required": ["pattern"],
                "additionalProperties": false
            }),
        }
    }

    fn effect(&self) -> Effect {
        Effect::ReadOnly
    }

    async fn call(&self, arguments: Value, context: &ToolContext) -> Result<ToolAnswer, ToolFailure> {
        let arguments: Arguments = files::arguments(arguments)?;
        files::blocking(context, move |files| glob(files, &arguments)).await
    }
}

fn glob(files: &Files, Arguments { pattern, path }: &Arguments) -> Result<ToolAnswer, ToolFailure> {
    let filter = PathFilter::new(pattern, path)?;
    let mut walk = files
        .workspace
        .walk(path, WalkLimits::default())
        .map_err(|error| files::told(path, &error))?;
    // Keep only the newest files in memory.
    let mut found: Vec<(Reverse<SystemTime>, String)> = Vec::new();
    let mut count = 0_usize;
    for file in walk.by_ref() {
        if files.is_over() {
            break;
        }
        if file.metadata.kind == FileKind::File && filter.accepts(&file.path) {
            count += 1;
            found.push((Reverse(file.metadata.modified), file.path));
            if found.len() >= 2 * MAX_FILES {
                found.sort_unstable();
                found.truncate(MAX_FILES);
            }
        }
    }
    found.sort_unstable();
    found.truncate(MAX_FILES);
    let mut text = String::new();
    for (_, path) in &found {
        let _ = writeln!(text, "{}", files::on_one_line(path));
    }
    if count == 0 {
        text.push_str("no file matches\n");
    }
    if count > found.len() {
        let _ = writeln!(text, "[{} older files are left out]", count - found.len());
    }
    let cut = walk
        .cut()
        .or_else(|| files.is_over().then_some("the time limit was reached"));
    if let Some(why) = cut {
        let _ = writeln!(text, "[not everything was searched: {why}]");
    }
    Ok(ToolAnswer {
        text,
        is_error: false,
        truncated: cut.is_some() || count > found.len(),
        images: Vec::new(),
    })
}

pub(super) struct PathFilter {
    matcher: GlobMatcher,
    folder: String,
    is_by_name: bool,
}

impl PathFilter {
    /// Compiles a pattern that is relative to `folder`. A pattern with the prefix `/workspace/` is relative to the
    /// workspace.
    pub(super) fn new(pattern: &str, folder: &str) -> Result<Self, ToolFailure> {
        let (pattern, folder) = match pattern.strip_prefix("/workspace/") {
            Some(pattern) => (pattern, String::new()),
            None => (pattern.strip_prefix("./").unwrap_or(pattern), files::beneath(folder)),
        };
        let matcher = GlobBuilder::new(pattern)
            .literal_separator(true)
            .build()
            .map_err(|error| ToolFailure::Reported(format!("the pattern is invalid: {error}")))?
            .compile_matcher();
        Ok(Self {
            matcher,
            folder,
            is_by_name: !pattern.contains('/'),
        })
    }

    pub(super) fn accepts(&self, path: &str) -> bool {
        let inside = match path.strip_prefix(&self.folder) {
            Some(inside) if self.folder.is_empty() => inside,
            Some(inside) => inside.trim_start_matches('/'),
            None => path,
        };
        let name = inside.rsplit_once('/').map_or(inside, |(_, name)| name);
        self.matcher.is_match(if self.is_by_name { name } else { inside })
    }
}
