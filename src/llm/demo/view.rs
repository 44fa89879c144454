//! The demo model's view of a request: the user's message, and the results of its calls.
//!
//! It keeps no state between requests. Each of its commands starts with a comment that names the step; by this name the
//! step's result is found in the history.

use serde_json::{Value, json};

use crate::llm::{ChatMessage, ModelRequest, ToolRequest, ToolSpec};

/// Maximum number of characters of a tool result shown to the user after a failure.
const MAX_EXCERPT: usize = 300;

/// Word prefixes that indicate that the user's message is about files.
const FILE_WORDS: &[&str] = &[
    "analy",
    "chart",
    "column",
    "csv",
    "data",
    "diagram",
    "file",
    "folder",
    "graph",
    "log",
    "plot",
    "report",
    "row",
    "spreadsheet",
    "statistic",
    "summar",
    "table",
    "tsv",
    "upload",
    "visual",
    "workspace",
];

/// Extensions that identify a word as a file name.
const ENDINGS: &[&str] = &[
    "csv", "html", "json", "log", "md", "py", "rs", "sh", "sql", "tab", "toml", "tsv", "txt", "xml", "yaml", "yml",
];

/// A request as the demo model sees it.
pub(super) struct View<'a> {
    request: &'a ModelRequest,
    task: &'a str,
    past: Vec<Past<'a>>,
}

struct Past<'a> {
    call: &'a ToolRequest,
    answer: Option<Answer<'a>>,
}

/// Result of a call.
#[derive(Clone, Copy)]
pub(super) struct Answer<'a> {
    pub(super) text: &'a str,
    pub(super) is_error: bool,
}

impl<'a> Answer<'a> {
    /// Returns the lines between `@@ name` and the next line that starts with `@@`.
    pub(super) fn section(&self, name: &str) -> Option<&'a str> {
        let mark = format!("@@ {name}\n");
        let start = self.text.find(&mark)? + mark.len();
        let rest = &self.text[start..];
        if rest.starts_with("@@") {
            return Some("");
        }
        let end = rest.find("\n@@").unwrap_or(rest.len());
        Some(rest[..end].trim_end_matches('\r'))
    }

    /// Returns the end of the result, for an explanation.
    pub(super) fn excerpt(&self) -> String {
        let text = self.text.trim();
        let skip = text.chars().count().saturating_sub(MAX_EXCERPT);
        let tail: String = text.chars().skip(skip).collect();
        if tail.is_empty() {
            "the tool returned no output".to_owned()
        } else {
            tail
        }
    }
}

impl<'a> View<'a> {
    pub(super) fn of(request: &'a ModelRequest) -> Self {
        let start = request
            .messages
            .iter()
            .rposition(|message| matches!(message, ChatMessage::User { .. }));
        let since = start.map_or(&request.messages[..], |start| &request.messages[start..]);
        let task = match since.first() {
            Some(ChatMessage::User { text }) => text.as_str(),
            _ => "",
        };
        let mut past: Vec<Past<'a>> = Vec::new();
        for message in since {
            match message {
                ChatMessage::Assistant { tool_calls, .. } => {
                    past.extend(tool_calls.iter().map(|call| Past { call, answer: None }));
                }
                ChatMessage::Tool {
                    tool_call_id,
                    text,
                    is_error,
                    ..
                } => {
                    let open = past
                        .iter_mut()
                        .find(|past| past.answer.is_none() && past.call.id == *tool_call_id);
                    if let Some(open) = open {
                        open.answer = Some(Answer {
                            text,
                            is_error: *is_error,
                        });
                    }
                }
                ChatMessage::User { .. } => {}
            }
        }
        Self { request, task, past }
    }

    /// The user's last message.
    pub(super) fn task(&self) -> &'a str {
        self.task
    }

    /// Returns whether the model can run commands.
    pub(super) fn can_run(&self) -> bool {
        self.has("bash")
    }

    /// Returns whether a tool is available.
    pub(super) fn has(&self, tool: &str) -> bool {
        self.spec(tool).is_some()
    }

    /// Returns whether the user's message seems to be about files.
    pub(super) fn is_about_files(&self) -> bool {
        let task = self.task.to_lowercase();
        task.split(|character: char| !character.is_alphanumeric())
            .any(|word| FILE_WORDS.iter().any(|known| word.starts_with(known)))
    }

    /// Files that the user uploaded or named: in the last message, or in the latest earlier message that names any.
    pub(super) fn files(&self) -> Vec<String> {
        let named = named_files(self.task);
        if !named.is_empty() || !self.is_about_files() {
            return named;
        }
        let earlier = self.request.messages.iter().rev().filter_map(|message| match message {
            ChatMessage::User { text } => Some(named_files(text)),
            ChatMessage::Assistant { .. } | ChatMessage::Tool { .. } => None,
        });
        earlier.into_iter().find(|files| !files.is_empty()).unwrap_or_default()
    }

    /// Result of a step's command, if it has run.
    pub(super) fn answer(&self, step: &str) -> Option<Answer<'a>> {
        let first = first_line(step);
        self.find("bash", |argument| argument.lines().next() == Some(first.as_str()))
    }

    /// Result of writing this file.
    pub(super) fn written(&self, path: &str) -> Option<Answer<'a>> {
        self.find("write", |argument| argument == path)
    }

    /// Result of reading this file.
    pub(super) fn read(&self, path: &str) -> Option<Answer<'a>> {
        self.find("read", |argument| argument == path)
    }

    fn find(&self, tool: &str, is_it: impl Fn(&str) -> bool) -> Option<Answer<'a>> {
        let key = self.key(tool);
        self.past
            .iter()
            .rev()
            .filter(|past| past.call.name == tool)
            .find_map(|past| {
                let arguments: Value = serde_json::from_str(&past.call.arguments).ok()?;
                arguments[key].as_str().filter(|argument| is_it(argument))?;
                past.answer
            })
    }

    /// Creates a bash call whose command names the step.
    pub(super) fn bash(&self, step: &str, command: &str) -> ToolRequest {
        let command = format!("{}\n{command}", first_line(step));
        self.call("bash", json!({self.key("bash"): command}))
    }

    /// Creates a call that writes a file.
    pub(super) fn write(&self, path: &str, content: &str) -> ToolRequest {
        self.call("write", json!({self.key("write"): path, "content": content}))
    }

    /// Creates a call that reads a file.
    pub(super) fn read_call(&self, path: &str) -> ToolRequest {
        self.call("read", json!({self.key("read"): path}))
    }

    #[expect(clippy::needless_pass_by_value, reason = "the arguments are made for this call")]
    fn call(&self, tool: &str, arguments: Value) -> ToolRequest {
        let id = format!("demo_{}_{}", self.request.messages.len(), self.past.len() + 1);
        ToolRequest {
            id,
            name: tool.to_owned(),
            arguments: arguments.to_string(),
        }
    }

    /// Returns the name of a tool's first argument, according to its schema.
    fn key(&self, tool: &str) -> &'static str {
        let names: &[&'static str] = if tool == "bash" {
            &["command", "cmd"]
        } else {
            &["path", "file_path", "file"]
        };
        let properties = self.spec(tool).map(|spec| &spec.parameters["properties"]);
        let known = names
            .iter()
            .find(|name| properties.is_some_and(|known| known.get(**name).is_some()));
        known.or(names.first()).copied().unwrap_or_default()
    }

    fn spec(&self, tool: &str) -> Option<&ToolSpec> {
        self.request.tools.iter().find(|spec| spec.name == tool)
    }
}

/// Returns the comment that identifies a step.
fn first_line(step: &str) -> String {
    format!("# demo: {step}")
}

/// Total size of all messages in bytes, for an estimate of tokens.
pub(super) fn bytes(messages: &[ChatMessage]) -> usize {
    messages
        .iter()
        .map(|message| match message {
            ChatMessage::User { text } => text.len(),
            ChatMessage::Assistant { text, tool_calls } => {
                text.len()
                    + tool_calls
                        .iter()
                        .map(|call| call.name.len() + call.arguments.len())
                        .sum::<usize>()
            }
            ChatMessage::Tool { text, name, .. } => text.len() + name.len(),
        })
        .sum()
}

/// Returns the extension of a file name in lower case.
pub(super) fn extension(name: &str) -> String {
    name.rsplit_once('.')
        .map(|(_, ending)| ending.to_lowercase())
        .unwrap_or_default()
}

/// Returns the files of a message: those in the line that lists uploads, and words that look like file names.
fn named_files(text: &str) -> Vec<String> {
    let mut files: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        let name = name.trim().trim_start_matches("/workspace/").trim_start_matches("./");
        let is_inside = !name.is_empty() && !name.starts_with('/') && !name.split('/').any(|part| part == "..");
        if is_inside && !files.iter().any(|known| known == name) {
            files.push(name.to_owned());
        }
    };
    let mut words = String::new();
    for line in text.lines() {
        match line.trim().strip_prefix("Files in /workspace:") {
            Some(list) => list.split(", ").for_each(&mut add),
            None => words.extend([line, "\n"]),
        }
    }
    for word in words.split_whitespace() {
        let is_mark = |character: char| "\"'`“”‘’()[]<>{},;:!?*".contains(character);
        let word = word
            .trim_start_matches(is_mark)
            .trim_end_matches(|character| is_mark(character) || character == '.');
        let word = word.trim_end_matches("'s").trim_end_matches("’s");
        if ENDINGS.contains(&extension(word).as_str()) && !word.contains("://") {
            add(word);
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_the_upload_line_and_in_words() {
        assert_eq!(named_files("Analyze data.csv and create visualizations"), ["data.csv"]);
        assert_eq!(
            named_files("go\n\nFiles in /workspace: my data.csv, b.txt"),
            ["my data.csv", "b.txt"]
        );
        assert_eq!(
            named_files("see `/workspace/a.csv`, \"b.tsv\". And c.csv's rows!"),
            ["a.csv", "b.tsv", "c.csv"]
        );
        assert_eq!(
            named_files("version 1.5, e.g. https://x.org/a.csv or ../../etc/a.csv"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn sections_end_at_the_next_mark() {
        let answer = Answer {
            text: "exit status 0\n@@ a\none\ntwo\n@@ b\n@@ c\nx\n@@ end\n",
            is_error: false,
        };
        assert_eq!(answer.section("a"), Some("one\ntwo"));
        assert_eq!(answer.section("b"), Some(""));
        assert_eq!(answer.section("c"), Some("x"));
        assert_eq!(answer.section("d"), None);
    }
}
