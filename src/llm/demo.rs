//! The built-in model `runyard/demo`: no key, no network, no randomness.
//!
//! It serves while no provider is configured. It is a model like any other: it sees the request and nothing else, and what
//! it says next follows from the tool answers that it finds there. For a table it looks at the file, writes a script, runs
//! it and tells what came out (`demo/table.rs`, `demo/report.rs`); for other text it counts (`demo/words.rs`). It never
//! claims to be more than it is.

mod plan;
mod report;
mod sample;
mod table;
mod view;
mod words;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use serde_json::Value;

use self::view::{View, extension};
use super::{EndReason, Llm, ModelEvent, ModelRequest, ModelStream, TokenUsage, ToolRequest};

/// Bytes of text that count as one token, as with common tokenizers.
const BYTES_PER_TOKEN: usize = 4;

/// Characters of one streamed piece, about.
const PIECE: usize = 12;

/// What the model says when it is asked for something that it cannot do.
const ABOUT: &str = "I am Runyard's built-in demo model. I follow fixed rules instead of understanding language, so I \
    cannot answer questions, write programs or hold a conversation. What I can do: give me a CSV file and I look at it, \
    write a script, run it in the sandbox and make a report with a chart; give me any other text file and I count its \
    lines and words. For real answers, start the server with RUNYARD_OPENAI_BASE_URL (and RUNYARD_OPENAI_API_KEY, \
    RUNYARD_OPENAI_MODEL), or name a provider in the configuration.";

/// The built-in model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demo;

/// What the model does next: says something, and perhaps calls tools.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reply {
    text: String,
    calls: Vec<ToolRequest>,
}

impl Reply {
    fn say(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            calls: Vec::new(),
        }
    }

    fn call(text: impl Into<String>, call: ToolRequest) -> Self {
        Self {
            text: text.into(),
            calls: vec![call],
        }
    }
}

#[async_trait]
impl Llm for Demo {
    async fn stream(&self, request: ModelRequest) -> ModelStream {
        let reply = next(&View::of(&request));
        let usage = TokenUsage {
            input: input_tokens(&request),
            output: output_tokens(&reply),
            cached_input: 0,
        };
        let events: Vec<ModelEvent> = pieces(&reply.text)
            .into_iter()
            .map(ModelEvent::Text)
            .chain(reply.calls.into_iter().map(ModelEvent::ToolCall))
            .chain([ModelEvent::Usage(usage), ModelEvent::End(EndReason::Done)])
            .collect();
        stream::iter(events.into_iter().map(Ok)).boxed()
    }
}

/// Decides what comes next, from what has happened since the user spoke.
fn next(view: &View<'_>) -> Reply {
    if !view.can_run() {
        return Reply::say(without_tools(view));
    }
    let found = match view.files() {
        files if files.is_empty() && view.is_about_files() => match view.answer("list") {
            None => return Reply::call("Let me see which files there are.", view.bash("list", LIST)),
            Some(answer) => match answer.section("files") {
                Some(list) => list
                    .lines()
                    .map(|line| line.trim().trim_start_matches("./").to_owned())
                    .collect(),
                None => return Reply::say(format!("I could not list the files: {}", answer.excerpt())),
            },
        },
        files => files,
    };
    let found: Vec<String> = found.into_iter().filter(|name| !name.is_empty()).collect();
    match pick(view.task(), &found) {
        Some(name) if is_table(name) => table::next(view, name),
        Some(name) => words::next(view, name),
        None if view.is_about_files() => Reply::say(format!("I found no file in the workspace to work on.\n\n{ABOUT}")),
        None => Reply::say(ABOUT),
    }
}

/// Lists what the user may have meant: no hidden files and nothing that was made here.
const LIST: &str = "echo '@@ files'\nfind . -type f ! -path './.*' ! -path './*/.*' ! -path './output/*' 2>/dev/null \
    | sort | head -n 40\necho '@@ end'";

/// The file to work on: one that the user names, else the first table, else the first file.
fn pick<'a>(task: &str, files: &'a [String]) -> Option<&'a str> {
    let named = files.iter().find(|name| {
        let short = name.rsplit('/').next().unwrap_or(name);
        task.contains(short)
    });
    named
        .or_else(|| files.iter().find(|name| is_table(name)))
        .or_else(|| files.first())
        .map(String::as_str)
}

fn is_table(name: &str) -> bool {
    matches!(extension(name).as_str(), "csv" | "tsv" | "tab")
}

fn without_tools(view: &View<'_>) -> String {
    let files = view.files();
    if files.is_empty() {
        return ABOUT.to_owned();
    }
    format!(
        "I see that you speak of {}, but I have no tools in this run, so I cannot open it.\n\n{ABOUT}",
        files.join(", ")
    )
}

/// Cuts a text into small pieces at spaces, so that a reader sees it grow.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for word in text.split_inclusive(char::is_whitespace) {
        match pieces.last_mut() {
            Some(last) if last.len() < PIECE => last.push_str(word),
            _ => pieces.push(word.to_owned()),
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn tokens(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX)
}

fn input_tokens(request: &ModelRequest) -> u64 {
    let tools = request
        .tools
        .iter()
        .map(|tool| tool.name.len() + tool.description.len() + schema_bytes(&tool.parameters));
    tokens(request.system.len() + view::bytes(&request.messages) + tools.sum::<usize>())
}

fn output_tokens(reply: &Reply) -> u64 {
    tokens(
        reply.text.len()
            + reply
                .calls
                .iter()
                .map(|call| call.name.len() + call.arguments.len())
                .sum::<usize>(),
    )
}

fn schema_bytes(schema: &Value) -> usize {
    schema.to_string().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_lose_nothing() {
        for text in [
            "",
            "a",
            "one two three, four\nfive  six\n",
            "averyveryverylongwordwithoutaspace yes",
            "ä ö ü ",
        ] {
            assert_eq!(pieces(text).concat(), text);
        }
        assert!(pieces(ABOUT).len() > 20);
    }

    #[test]
    fn the_named_file_comes_before_the_first_table() {
        let files = ["a.txt", "b.csv", "sub/c.csv"].map(str::to_owned);
        assert_eq!(pick("look at c.csv", &files), Some("sub/c.csv"));
        assert_eq!(pick("look at a.txt", &files), Some("a.txt"));
        assert_eq!(pick("look", &files), Some("b.csv"));
        assert_eq!(pick("look", &files[..1]), Some("a.txt"));
        assert_eq!(pick("look", &[]), None);
    }
}
