//! The built-in model `runyard/demo`: it needs no key and no network, and its answers are deterministic.
//!
//! It serves while no provider is configured. Like any other model it sees only the request, and it derives its next
//! step from the tool results in it. For a table it inspects the file, writes a script, runs it and reports the result
//! (`demo/table.rs`, `demo/report.rs`); for other text it counts lines and words (`demo/words.rs`). Its answers say
//! that it is a demo.

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

/// Estimated number of bytes of text per token, as with common tokenizers.
const BYTES_PER_TOKEN: usize = 4;

/// Approximate number of characters in a streamed chunk.
const PIECE: usize = 12;

/// Answer to a request that the model cannot handle.
const ABOUT: &str = "I am Runyard's built-in demo model. I follow fixed rules and do not understand language, so I cannot \
    answer questions, write programs or hold a conversation. I can do two things: analyze a CSV file (I write a script, run \
    it in the sandbox and create a report with a chart), and count the lines and words of any other text file. For real \
    answers, start the server with RUNYARD_OPENAI_BASE_URL (and RUNYARD_OPENAI_API_KEY, RUNYARD_OPENAI_MODEL), or add a \
    provider to the configuration.";

/// The built-in model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demo;

/// Next step of the model: a text, and possibly tool calls.
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

/// Decides the next step, based on everything since the user's last message.
fn next(view: &View<'_>) -> Reply {
    if !view.can_run() {
        return Reply::say(without_tools(view));
    }
    let found = match view.files() {
        files if files.is_empty() && view.is_about_files() => match view.answer("list") {
            None => return Reply::call("I'll list the files first.", view.bash("list", LIST)),
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
        None if view.is_about_files() => Reply::say(format!("I found no file in the workspace.\n\n{ABOUT}")),
        None => Reply::say(ABOUT),
    }
}

/// Lists files that the user may have meant: no hidden files, and no files in `output/`.
const LIST: &str = "echo '@@ files'\nfind . -type f ! -path './.*' ! -path './*/.*' ! -path './output/*' 2>/dev/null \
    | sort | head -n 40\necho '@@ end'";

/// Selects the file to work on: one that the user names, else the first table, else the first file.
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
        "You mention {}, but I have no tools in this run, so I cannot open it.\n\n{ABOUT}",
        files.join(", ")
    )
}

/// Splits a text into small chunks at spaces, so that it appears gradually.
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
    fn pieces_contain_the_whole_text() {
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
