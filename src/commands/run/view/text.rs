//! Shows a run as text: the model's text as it arrives, and tool calls with the first lines of their output. Without
//! a terminal, colours and the spinner are omitted.

use std::{
    collections::HashMap,
    io::{IsTerminal, stdout},
    time::Duration,
};

use console::{Style, Term};
use indicatif::{ProgressBar, ProgressStyle};
use prost_types::{Struct, Value, value::Kind};

use crate::{
    commands::{
        output::{Output, clean, cut, one_line},
        signer::caller_name,
    },
    error::Result,
    v1::{
        ModelUsage, NoticeKind, RunEvent, RunStatus, StartRunResponse, StatusChanged, ToolCall, ToolOutput, ToolResult,
        run_event::Event,
    },
};

/// Maximum number of output lines per tool call.
const MAX_LINES: usize = 12;
const PLAIN_COLUMNS: usize = 160;
const TICK: Duration = Duration::from_millis(100);

pub(in crate::commands::run) struct TextView {
    out: Output,
    live: bool,
    columns: usize,
    spinner: Option<ProgressBar>,
    /// True if the last printed text did not end with a newline.
    open_line: bool,
    /// Id of the message whose text was printed last; empty at first.
    streamed: String,
    calls: HashMap<String, Shown>,
    usage: Usage,
}

/// Printed output of a running tool call. `lines` counts all lines, and `hidden` the lines that are not shown. `rest`
/// is the output after the last newline.
#[derive(Default)]
struct Shown {
    lines: usize,
    hidden: usize,
    rest: String,
}

#[derive(Default)]
struct Usage {
    calls: u32,
    input: i64,
    output: i64,
    credits: f64,
}

impl TextView {
    pub(super) fn new() -> Self {
        let live = stdout().is_terminal();
        let columns = if live {
            usize::from(Term::stdout().size().1).max(40)
        } else {
            PLAIN_COLUMNS
        };
        Self {
            out: Output::new(),
            live,
            columns,
            spinner: None,
            open_line: false,
            streamed: String::new(),
            calls: HashMap::new(),
            usage: Usage::default(),
        }
    }

    pub(super) fn started(&mut self, server: &str, run: &StartRunResponse) -> Result<()> {
        self.say(&format!(
            "run {} on {server} · thread {}",
            run.agent_run_id, run.thread_id
        ))?;
        self.waiting("waiting for a worker");
        Ok(())
    }

    pub(super) fn show(&mut self, event: &RunEvent) -> Result<()> {
        match &event.event {
            Some(Event::Status(changed)) => self.status(changed),
            Some(Event::MessageDelta(delta)) => {
                if self.streamed != delta.message_id {
                    self.close_line()?;
                    self.streamed.clone_from(&delta.message_id);
                }
                self.text(&clean(&delta.text))
            }
            Some(Event::ReasoningDelta(_)) => {
                self.waiting("reasoning");
                Ok(())
            }
            Some(Event::Message(message)) => {
                if self.streamed != message.message_id {
                    self.text(&clean(&message.text))?;
                }
                self.close_line()?;
                if message.partial {
                    self.say("(the model's answer was cut off here)")?;
                }
                Ok(())
            }
            Some(Event::ToolCall(call)) => self.tool_call(call),
            Some(Event::ToolOutput(output)) => self.tool_output(output),
            Some(Event::ToolResult(result)) => self.tool_result(result),
            Some(Event::Usage(usage)) => {
                self.usage.add(usage);
                Ok(())
            }
            Some(Event::Notice(notice)) => {
                let style = match notice.kind() {
                    NoticeKind::DemoModel | NoticeKind::ModelDowngraded | NoticeKind::MemoriesUsed => {
                        Style::new().cyan()
                    }
                    _ => Style::new().yellow(),
                };
                self.styled(&style, &format!("note: {}", one_line(&notice.message)))
            }
            Some(Event::InputRequested(asked)) => self.styled(
                &Style::new().magenta(),
                &format!(
                    "input needed: {} (answer it on the page \"Waiting for you\" of the console, or with the API)",
                    one_line(&asked.message)
                ),
            ),
            Some(Event::UserMessage(message)) => self.styled(
                &Style::new().magenta(),
                &format!("message read: {}", one_line(&message.text)),
            ),
            Some(Event::SubagentStarted(started)) => {
                self.say(&format!("subagent started: run {}", started.subagent_run_id))
            }
            // A newer server may send unknown events.
            Some(Event::InputAnswered(_)) | None => Ok(()),
        }
    }

    pub(super) fn say(&mut self, text: &str) -> Result<()> {
        self.styled(&Style::new().dim(), text)
    }

    pub(super) fn line(&mut self, text: &str) -> Result<()> {
        self.close_line()?;
        self.out.line(text)
    }

    /// A spinner would overwrite an incomplete line.
    pub(super) fn waiting(&mut self, what: &str) {
        if !self.live || self.open_line {
            return;
        }
        let what = what.to_owned();
        if let Some(spinner) = &self.spinner {
            spinner.set_message(what);
            spinner.reset_elapsed();
            return;
        }
        let spinner = ProgressBar::new_spinner().with_message(what);
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {msg} {elapsed:.dim}") {
            spinner.set_style(style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
        }
        spinner.enable_steady_tick(TICK);
        self.spinner = Some(spinner);
    }

    pub(super) fn quiet(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
    }

    fn status(&mut self, changed: &StatusChanged) -> Result<()> {
        let (style, word) = match changed.status() {
            RunStatus::Running | RunStatus::Unspecified => {
                self.waiting("thinking");
                return Ok(());
            }
            RunStatus::Waiting => {
                self.waiting("waiting for input");
                return Ok(());
            }
            RunStatus::Completed => (Style::new().green().bold(), "completed"),
            RunStatus::Failed => (Style::new().red().bold(), "failed"),
            RunStatus::Stopped => (Style::new().yellow().bold(), "stopped"),
        };
        let mut text = word.to_owned();
        if let Some(caller) = &changed.stopped_by {
            text = format!("{text} by {}", caller_name(caller));
        }
        if let Some(code) = &changed.error_code {
            text = format!("{text} ({})", one_line(code));
        }
        if let Some(message) = &changed.message {
            text = format!("{text}: {}", one_line(message));
        }
        self.styled(&style, &text)?;
        self.quiet();
        let usage = self.usage.to_string();
        self.out.line(&self.paint(&Style::new().dim(), &usage))
    }

    fn tool_call(&mut self, call: &ToolCall) -> Result<()> {
        let what = match (&call.invalid_arguments, &call.arguments) {
            (Some(text), _) => one_line(text),
            (None, Some(arguments)) => gist(arguments),
            (None, None) => String::new(),
        };
        let name = one_line(&call.name);
        let room = self.columns.saturating_sub(name.len() + 5).max(20);
        let line = format!(
            "▸ {}  {}",
            self.paint(&Style::new().cyan().bold(), &name),
            cut(&what, room)
        );
        self.calls.insert(call.tool_call_id.clone(), Shown::default());
        self.line(&line)?;
        self.waiting(&format!("running {name}"));
        Ok(())
    }

    fn tool_output(&mut self, output: &ToolOutput) -> Result<()> {
        let mut shown = self.calls.remove(&output.tool_call_id).unwrap_or_default();
        shown.rest.push_str(&output.text);
        while let Some(end) = shown.rest.find('\n') {
            let line: String = shown.rest.drain(..=end).collect();
            self.output_line(&mut shown, &line)?;
        }
        // A line longer than four screen widths is printed before its newline arrives.
        if shown.rest.chars().count() > self.columns * 4 {
            let line = std::mem::take(&mut shown.rest);
            self.output_line(&mut shown, &line)?;
        }
        self.calls.insert(output.tool_call_id.clone(), shown);
        Ok(())
    }

    fn output_line(&mut self, shown: &mut Shown, line: &str) -> Result<()> {
        shown.lines += 1;
        if shown.lines > MAX_LINES {
            shown.hidden += 1;
            return Ok(());
        }
        let text = format!("  {}", cut(clean(line).trim_end(), self.columns.saturating_sub(2)));
        self.styled(&Style::new().dim(), text.trim_end())
    }

    fn tool_result(&mut self, result: &ToolResult) -> Result<()> {
        let mut shown = self.calls.remove(&result.tool_call_id).unwrap_or_default();
        if !shown.rest.is_empty() {
            let line = std::mem::take(&mut shown.rest);
            self.output_line(&mut shown, &line)?;
        }
        if shown.hidden > 0 {
            self.styled(&Style::new().dim(), &format!("  … {} more", lines(shown.hidden)))?;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "the display shows one decimal; the lost bits do not matter"
        )]
        let took = format!("{:.1} s", result.duration_ms as f64 / 1000.0);
        // If the call failed or printed nothing, show the first line of its result.
        let gist = if result.is_error || shown.lines == 0 {
            one_line(result.text.lines().next().unwrap_or(""))
        } else {
            String::new()
        };
        let (style, mark) = if result.is_error {
            (Style::new().red(), "✗")
        } else {
            (Style::new().green().dim(), "✓")
        };
        let line = format!("  {mark} {took}  {}", cut(&gist, self.columns.saturating_sub(14)));
        self.styled(&style, line.trim_end())?;
        self.waiting("thinking");
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.quiet();
        self.open_line = !text.ends_with('\n');
        self.out.piece(text)
    }

    fn styled(&mut self, style: &Style, text: &str) -> Result<()> {
        let line = self.paint(style, text);
        self.line_above_spinner(&line)
    }

    fn line_above_spinner(&mut self, line: &str) -> Result<()> {
        self.end_open_line()?;
        match &self.spinner {
            Some(spinner) => spinner.suspend(|| Output::new().line(line)),
            None => self.out.line(line),
        }
    }

    fn close_line(&mut self) -> Result<()> {
        self.quiet();
        self.end_open_line()
    }

    fn end_open_line(&mut self) -> Result<()> {
        if self.open_line {
            self.open_line = false;
            self.out.line("")?;
        }
        Ok(())
    }

    fn paint(&self, style: &Style, text: &str) -> String {
        // The console crate also omits colours if NO_COLOR is set.
        if self.live {
            style.apply_to(text).to_string()
        } else {
            text.to_owned()
        }
    }
}

impl Usage {
    fn add(&mut self, usage: &ModelUsage) {
        self.calls += 1;
        self.input += usage.input_tokens;
        self.output += usage.output_tokens;
        self.credits += usage.credits;
    }
}

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            calls,
            input,
            output,
            credits,
        } = self;
        write!(
            f,
            "{calls} model calls · {input} tokens in, {output} out · {credits:.2} credits"
        )
    }
}

/// Summarises the arguments of a tool call in one line. Shows only the main argument, such as `command`, if there is
/// one.
fn gist(arguments: &Struct) -> String {
    for name in ["command", "path", "file_path", "pattern"] {
        if let Some(Kind::StringValue(text)) = arguments.fields.get(name).and_then(|value| value.kind.as_ref()) {
            let mut lines = text
                .lines()
                .filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
            let first = one_line(lines.next().unwrap_or(""));
            let more = lines.count();
            return if more == 0 {
                first
            } else {
                format!("{first} … (+{more})")
            };
        }
    }
    let parts: Vec<_> = arguments
        .fields
        .iter()
        .map(|(name, value)| format!("{name}={}", plain(value)))
        .collect();
    one_line(&parts.join(" "))
}

fn lines(number: usize) -> String {
    if number == 1 {
        "1 line".into()
    } else {
        format!("{number} lines")
    }
}

fn plain(value: &Value) -> String {
    match &value.kind {
        Some(Kind::StringValue(text)) => cut(text, 60),
        Some(Kind::NumberValue(number)) => number.to_string(),
        Some(Kind::BoolValue(truth)) => truth.to_string(),
        Some(Kind::NullValue(_)) | None => "null".into(),
        Some(Kind::StructValue(_)) => "{…}".into(),
        Some(Kind::ListValue(list)) => format!("[{}]", list.values.len()),
    }
}
