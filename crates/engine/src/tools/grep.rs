//! grep: finds lines by regular expression.
//!
//! The `regex` crate searches in linear time for every pattern. Files, bytes, lines and time of a search are limited,
//! and the result names the limit that was reached. Symbolic links are not followed.

use std::{
    fmt::Write as _,
    io::{self, BufReader, Read},
};

use async_trait::async_trait;
use regex::bytes::{Regex, RegexBuilder};
use runyard_sandbox::{FileKind, OpenFile, WalkLimits};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Effect, Tool, ToolAnswer, ToolContext, ToolFailure,
    files::{self, Files},
    glob::PathFilter,
    lines::{Lines, shown},
};
use crate::llm::ToolSpec;

/// Maximum number of matching lines in a result. In the mode "files", the maximum number of paths.
pub const MAX_MATCHES: usize = 200;
/// Maximum bytes searched per line.
pub const MAX_LINE_BYTES: usize = 16 << 10;
/// Maximum bytes shown per line.
pub const MAX_SHOWN_LINE_BYTES: usize = 400;
/// Maximum bytes searched per file.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// Maximum bytes searched per call.
pub const MAX_TOTAL_BYTES: u64 = 512 << 20;
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// The `grep` tool.
pub struct Grep;

#[derive(Deserialize)]
struct Arguments {
    pattern: String,
    #[serde(default = "here")]
    path: String,
    glob: Option<String>,
    #[serde(default)]
    ignore_case: bool,
    #[serde(default)]
    mode: Mode,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Lines,
    Files,
}

fn here() -> String {
    ".".to_owned()
}

#[async_trait]
impl Tool for Grep {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "grep".to_owned(),
            description: format!(
                "Searches the text files in /workspace for lines that match a regular expression (Rust syntax: no \
                 look-around, no back-references). Returns up to {MAX_MATCHES} results as path:line:text, or only the paths of \
                 matching files. Binary files and symbolic links are skipped."
            ),
            parameters: json!({
                "type": "object",
                "properties": {
                    "pattern": {"type": "string", "minLength": 1, "maxLength": 4096, "description": "The regular expression."},
                    "path": {
                        "type": "string", "minLength": 1, "maxLength": 4096,
                        "description": "The file or folder to search; the default is /workspace."
                    },
                    "glob": {
                        "type": "string", "minLength": 1, "maxLength": 1024,
                        "description": "Search only files whose path matches this glob pattern, such as *.py."
                    },
                    "ignore_case": {"type": "boolean", "description": "True to ignore case."},
                    "mode": {
                        "type": "string", "enum": ["lines", "files"],
                        "description": "Result: matching lines (the default) or the paths of matching files."
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
        files::blocking(context, move |files| grep(files, &arguments)).await
    }
}

fn grep(files: &Files, arguments: &Arguments) -> Result<ToolAnswer, ToolFailure> {
    let regex = RegexBuilder::new(&arguments.pattern)
        .case_insensitive(arguments.ignore_case)
        .size_limit(MAX_PATTERN_BYTES)
        .dfa_size_limit(4 * MAX_PATTERN_BYTES)
        .build()
        .map_err(|error| ToolFailure::Reported(format!("the pattern is invalid: {error}")))?;
    let path = &arguments.path;
    let filter = arguments
        .glob
        .as_ref()
        .map(|glob| PathFilter::new(glob, path))
        .transpose()?;
    let mut search = Search {
        files,
        regex,
        mode: arguments.mode,
        text: String::new(),
        matches: 0,
        bytes: 0,
        skipped: 0,
        cut: None,
    };
    let metadata = files
        .workspace
        .metadata(path)
        .map_err(|error| files::told(path, &error))?;
    if metadata.kind == FileKind::Folder {
        let mut walk = files
            .workspace
            .walk(path, WalkLimits::default())
            .map_err(|error| files::told(path, &error))?;
        while let Some(found) = walk.next() {
            let is_wanted = found.metadata.kind == FileKind::File
                && filter.as_ref().is_none_or(|filter| filter.accepts(&found.path));
            // Like `grep -s`, skip files that were removed or cannot be opened.
            if is_wanted && let Ok(file) = walk.open(&found) {
                search.skipped += usize::from(search.file(&files::on_one_line(&found.path), file).is_err());
            }
            if search.is_over() {
                break;
            }
        }
        search.cut = search.cut.or(walk.cut());
    } else {
        let file = files.workspace.open(path).map_err(|error| files::told(path, &error))?;
        search
            .file(path, file)
            .map_err(|error| files::unreadable(path, &error))?;
    }
    Ok(search.answer())
}

struct Search<'a> {
    files: &'a Files,
    regex: Regex,
    mode: Mode,
    text: String,
    matches: usize,
    bytes: u64,
    skipped: usize,
    cut: Option<&'static str>,
}

impl Search<'_> {
    fn is_over(&self) -> bool {
        self.cut.is_some()
    }

    /// Searches one file, which the result calls `path`.
    fn file(&mut self, path: &str, file: OpenFile) -> io::Result<()> {
        let mut lines = Lines::new(BufReader::with_capacity(64 << 10, file.content), MAX_LINE_BYTES);
        if lines.is_binary()? {
            self.skipped += 1;
            return Ok(());
        }
        let mut buffer = Vec::new();
        let mut number = 0_u64;
        let result = self.lines(path, &mut lines, &mut buffer, &mut number);
        self.bytes += lines.bytes_read();
        result
    }

    fn lines(
        &mut self,
        path: &str,
        lines: &mut Lines<BufReader<impl Read>>,
        buffer: &mut Vec<u8>,
        number: &mut u64,
    ) -> io::Result<()> {
        let before = self.bytes;
        let files = self.files;
        let is_too_much = |read: u64| read > MAX_FILE_BYTES || before + read > MAX_TOTAL_BYTES;
        while let Some(line) = lines.next(buffer, |read| is_too_much(read) || files.is_over())? {
            *number += 1;
            if self.regex.is_match(buffer) {
                self.matches += 1;
                if self.matches > MAX_MATCHES {
                    self.cut = Some("there are more matches");
                    return Ok(());
                }
                match self.mode {
                    Mode::Files => {
                        let _ = writeln!(self.text, "{path}");
                        return Ok(());
                    }
                    Mode::Lines => {
                        let shown = shown(buffer, line.bytes, MAX_SHOWN_LINE_BYTES);
                        let _ = writeln!(self.text, "{path}:{number}:{shown}");
                    }
                }
            }
            let read = lines.bytes_read();
            if before + read > MAX_TOTAL_BYTES {
                self.cut = Some("the size limit was reached");
                return Ok(());
            }
            if read > MAX_FILE_BYTES {
                let _ = writeln!(
                    self.text,
                    "[{path} was searched only up to line {number}: the file is too large]"
                );
                return Ok(());
            }
            if number.is_multiple_of(256) && files.is_over() {
                self.cut = Some("the time limit was reached");
                return Ok(());
            }
        }
        Ok(())
    }

    fn answer(mut self) -> ToolAnswer {
        if self.matches == 0 {
            self.text.push_str("no line matches\n");
        }
        if self.skipped > 0 {
            let _ = writeln!(self.text, "[{} binary or unreadable files were skipped]", self.skipped);
        }
        if let Some(why) = self.cut {
            let _ = writeln!(
                self.text,
                "[not everything was searched: {why}; narrow the pattern, the path or the glob]"
            );
        }
        ToolAnswer {
            text: self.text,
            is_error: false,
            truncated: self.cut.is_some(),
            images: Vec::new(),
        }
    }
}
