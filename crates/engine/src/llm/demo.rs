//! The built-in model `runyard/demo`, used while no provider is configured.
//!
//! The model reads the start of a file, writes one of the scripts in `demo/`, runs the script and returns its output.
//! For a table, it uses pandas if the sandbox has it. The model is deterministic and has no state: the tool results
//! since the user's last message determine the next step.

mod sample;

use std::path::Path;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use super::{ChatMessage, EndReason, Llm, ModelEvent, ModelRequest, ModelStream, TokenUsage, ToolRequest};
use crate::config::StructuredOutput;

const ANALYZE: &str = include_str!("demo/analyze.sh");
const ANALYZE_WITH_PANDAS: &str = include_str!("demo/analyze.py");
const FIND: &str = include_str!("demo/find.sh");
const SUMMARIZE: &str = include_str!("demo/summarize.sh");

const ABOUT: &str = "I am Runyard's built-in demo model. I follow fixed rules and do not understand language, so I cannot \
    answer questions, write programs or hold a conversation. I can work on a file with a script that I run in the sandbox: \
    analyze a CSV file and draw a chart, select the most important sentences of a text, and find the errors and the slowest \
    requests in a log. For real answers, start the server with RUNYARD_OPENAI_BASE_URL (and RUNYARD_OPENAI_API_KEY, \
    RUNYARD_OPENAI_MODEL), or add a provider to the configuration.";

/// Prefixes of words about files, separated by spaces.
const FILE_WORDS: &str = "analy chart column csv data diagram file folder graph log plot report row spreadsheet statistic \
    summar table tsv upload visual workspace";

/// Extensions that make a word a file name, separated by spaces.
const EXTENSIONS: &str = "csv html json log md py rs sh sql tab toml tsv txt xml yaml yml";

/// Extensions of files that contain a table.
const TABLES: &str = "csv tsv tab";

/// Text that introduces the list of uploaded files at the end of a message.
const UPLOADS: &str = "\n\nFiles in /workspace: ";
/// Start of the texts of documents at the end of a message.
const DOCUMENTS: &str = "\n\n<document>\n";

/// Shell script that inspects the file `$f`. Prints the kind, size in bytes and name of the file, and then its start.
/// A table has the kind `pandas` if Python's pandas and matplotlib are installed. An empty `$f` selects the first table
/// of the workspace or, without tables, the first file.
const LOOK: &str = r#"[ -n "$f" ] || f=$(find . -type f ! -path './.*' ! -path './*/.*' ! -path './output/*' | sort | awk '
    NR == 1 { name = $0 } tolower($0) ~ /[.](csv|tsv|tab)$/ { name = $0; exit } END { print name }')
if [ ! -f "$f" ]; then kind=missing
elif [ "$(head -c 4096 <"$f" | tr -d '\000' | wc -c)" -lt "$(head -c 4096 <"$f" | wc -c)" ]; then kind=binary
elif [ -z "$(tr -d ' \t\r\n' <"$f" | head -c 1)" ]; then kind=blank
else
    kind=text
    case $f in *.csv | *.tsv | *.tab)
        python3 -c 'import importlib.util as u; exit(not (u.find_spec("pandas") and u.find_spec("matplotlib")))' 2>/dev/null && kind=pandas ;;
    esac
fi
printf '%s %s %s\n' $kind "$([ $kind = missing ] || wc -c <"$f" | tr -d ' ')" "${f#./}"
[ $kind != text ] && [ $kind != pandas ] || head -n 5 <"$f" | head -c 1000"#;

/// The built-in model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demo;

/// The text of the model's next message, and a tool call. Without a call, the text is the final answer.
type Step = (String, Option<ToolRequest>);

#[async_trait]
impl Llm for Demo {
    async fn stream(&self, request: ModelRequest) -> ModelStream {
        let (mut text, call) = Turn::of(&request).next();
        if let Some(schema) = request.output.as_ref().filter(|_| call.is_none()) {
            text = sample::object(schema).to_string();
        }
        let usage = TokenUsage {
            input: tokens(&format!("{}{:?}{:?}", request.system, request.messages, request.tools)),
            output: tokens(&format!("{text}{call:?}")),
            cached_input: 0,
        };
        let words = text.split_inclusive(' ').map(|word| ModelEvent::Text(word.to_owned()));
        let end = [ModelEvent::Usage(usage), ModelEvent::End(EndReason::Done)];
        let events: Vec<_> = words.chain(call.map(ModelEvent::ToolCall)).chain(end).map(Ok).collect();
        stream::iter(events).boxed()
    }

    /// The final answer is an object that is built from the schema.
    fn structured_output(&self, _model: &str) -> StructuredOutput {
        StructuredOutput::Native
    }
}

/// The conversation since the user's last message.
struct Turn<'a> {
    request: &'a ModelRequest,
    task: &'a str,
    /// The file that the task names. If the task is about files but names no file, this is the last file that an
    /// earlier message named.
    file: Option<&'a str>,
    /// Results of tool calls: the tool's name, the text, and whether the call failed.
    results: Vec<(&'a str, &'a str, bool)>,
}

impl<'a> Turn<'a> {
    fn of(request: &'a ModelRequest) -> Self {
        let (mut task, mut latest, mut results) = ("", None, Vec::new());
        for message in &request.messages {
            match message {
                ChatMessage::User { text, .. } => {
                    let text = text.split_once(DOCUMENTS).map_or(text.as_str(), |(task, _)| task);
                    (task, latest, results) = (text, named_file(text).or(latest), Vec::new());
                }
                ChatMessage::Tool {
                    name, text, is_error, ..
                } => results.push((name.as_str(), text.as_str(), *is_error)),
                ChatMessage::Assistant { .. } => {}
            }
        }
        let file = if is_about_files(task) { latest } else { named_file(task) };
        Self {
            request,
            task,
            file,
            results,
        }
    }

    fn next(&self) -> Step {
        let can_run = self.has("bash");
        let file = match self.file {
            Some(file) if can_run => file,
            Some(file) => return say(format!("I have no tools in this run to open {file}.\n\n{ABOUT}")),
            None if can_run && is_about_files(self.task) => "",
            None => return say(ABOUT),
        };
        let Some((_, look, _)) = self.results.first() else {
            return self.bash("I'll look at the file first.", &format!("f={}\n{LOOK}", quote(file)));
        };
        let first: Vec<&str> = look.lines().next().unwrap_or_default().splitn(3, ' ').collect();
        match first[..] {
            ["text", _, name] => self.work(name, &self.results[1..]),
            // If the script with pandas fails, use the script that needs no Python.
            ["pandas", _, name] => match self.results[1..]
                .iter()
                .position(|(tool, _, failed)| *tool == "bash" && *failed)
            {
                Some(failed) => self.work(name, &self.results[failed + 2..]),
                _ => self.work_with(name, &PANDAS, &self.results[1..]),
            },
            ["missing", ..] if file.is_empty() => say(format!("I found no file in the workspace.\n\n{ABOUT}")),
            ["missing", ..] => say(format!("There is no file {file} in the workspace.")),
            ["blank", _, name] => say(format!("{name} is empty or has only blank lines.")),
            ["binary", size, name] => say(format!("{name} is not text; it has {size} bytes.")),
            _ => say(format!("I could not look at {file}: {}", excerpt(look))),
        }
    }

    /// Returns the next step: write the script, run the script, or report its output. If the tool `write` is missing or
    /// fails, `bash` writes the script.
    fn work(&self, file: &str, results: &[(&str, &str, bool)]) -> Step {
        self.work_with(file, job(file, self.task), results)
    }

    /// Does the same with a given script. `results` are the results of the calls for this script.
    fn work_with(&self, file: &str, job: &Script, results: &[(&str, &str, bool)]) -> Step {
        let Script { path, content, purpose } = *job;
        if let Some((_, text, is_error)) = results.iter().find(|(tool, ..)| *tool == "bash") {
            return say(if *is_error {
                format!("I looked at {file}, but my script failed:\n\n{}", excerpt(text))
            } else {
                let findings = text.trim_end().trim_end_matches("[exit status 0]").trim_end();
                format!("{findings}\n\nThe built-in demo model wrote this answer. It follows fixed rules.")
            });
        }
        let plan = format!("I'll write a script that {purpose}.");
        if results.is_empty() && self.has("write") {
            return self.call(plan, "write", &json!({"path": path, "content": content}));
        }
        let (task, _) = self.task.rsplit_once(UPLOADS).unwrap_or((self.task, ""));
        let words = task.split_whitespace().filter(|word| word.len() < 100).take(50);
        let task = words.collect::<Vec<_>>().join(" ");
        let is_python = Path::new(path).extension().is_some_and(|extension| extension == "py");
        let program = if is_python { "python3" } else { "sh" };
        let run = format!("{program} {path} {} {}", quote(file), quote(&task));
        if results.iter().any(|(.., is_error)| !is_error) {
            return self.bash("I'll run it.", &run);
        }
        let write = format!("mkdir -p output && cat >{path} <<'END_OF_SCRIPT'\n{content}END_OF_SCRIPT");
        self.bash(plan, &format!("{write}\n{run}"))
    }

    fn has(&self, tool: &str) -> bool {
        self.request.tools.iter().any(|spec| spec.name == tool)
    }

    fn bash(&self, text: impl Into<String>, command: &str) -> Step {
        self.call(text, "bash", &json!({"command": command}))
    }

    fn call(&self, text: impl Into<String>, tool: &str, arguments: &Value) -> Step {
        let call = ToolRequest {
            id: format!("demo_{}", self.request.messages.len()),
            name: tool.to_owned(),
            arguments: arguments.to_string(),
        };
        (text.into(), Some(call))
    }
}

fn excerpt(text: &str) -> &str {
    let text = text.trim();
    &text[text.ceil_char_boundary(text.len().saturating_sub(300))..]
}

/// Estimates the number of tokens, at four bytes per token.
fn tokens(text: &str) -> u64 {
    text.len().div_ceil(4) as u64
}

fn say(text: impl Into<String>) -> Step {
    (text.into(), None)
}

/// A script that the model writes and runs.
struct Script {
    path: &'static str,
    content: &'static str,
    /// Completes the sentence "a script that …".
    purpose: &'static str,
}

const PANDAS: Script = Script {
    path: "output/analyze.py",
    content: ANALYZE_WITH_PANDAS,
    purpose: "creates a report and a chart with pandas",
};

/// Selects the script for a task.
fn job(file: &str, task: &str) -> &'static Script {
    let task = task.to_lowercase();
    if has_extension(file, TABLES) {
        &Script {
            path: "output/analyze.sh",
            content: ANALYZE,
            purpose: "creates a report and a chart",
        }
    } else if has_extension(file, "log") || task.contains("error") || task.contains("slow") {
        &Script {
            path: "output/find.sh",
            content: FIND,
            purpose: "finds the slowest requests and the errors",
        }
    } else {
        &Script {
            path: "output/summarize.sh",
            content: SUMMARIZE,
            purpose: "selects the most important sentences",
        }
    }
}

fn is_about_files(task: &str) -> bool {
    let task = task.to_lowercase();
    let mut words = task.split(|character: char| !character.is_alphanumeric());
    words.any(|word| FILE_WORDS.split(' ').any(|start| word.starts_with(start)))
}

/// Returns the file that a message refers to. Candidates are the files that are both named and uploaded; if there are
/// none, all uploads; without uploads, all named files. The first table among the candidates is returned or, without
/// a table, the first candidate.
fn named_file(message: &str) -> Option<&str> {
    let (text, uploads) = message.rsplit_once(UPLOADS).unwrap_or((message, ""));
    let uploads: Vec<&str> = uploads.split(", ").filter(|name| !name.is_empty()).collect();
    let is_mark = |character: char| !character.is_alphanumeric() && !"/_-".contains(character);
    let words = text.split_whitespace().map(|word| {
        let word = word.trim_start_matches("./").trim_matches(is_mark);
        let word = word.trim_end_matches("'s").trim_end_matches("’s");
        word.trim_start_matches("/workspace/")
    });
    let is_file = |word: &&str| has_extension(word, EXTENSIONS);
    let is_inside = |word: &&str| !word.starts_with('/') && !word.contains("..") && !word.contains("://");
    let words: Vec<&str> = words.filter(is_file).filter(is_inside).collect();
    let both: Vec<&str> = words.iter().filter(|word| uploads.contains(word)).copied().collect();
    let names = [both, uploads, words].into_iter().find(|names| !names.is_empty())?;
    let table = names.iter().find(|name| has_extension(name, TABLES));
    table.or(names.first()).copied()
}

fn has_extension(name: &str, known: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
    known.split(' ').any(|known| extension.as_deref() == Some(known))
}

/// Quotes text for the shell. Removes NUL, because a shell script cannot contain it.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', r"'\''"))
}
