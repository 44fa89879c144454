//! `runyard models test`: tests whether a model answers a question, calls a tool and sees an image.

use std::time::Duration;

use futures::StreamExt;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{
    super::{
        Outcome,
        checks::{Check, Report, Verdict},
        output::{cut, one_line, remark},
    },
    sight,
};
use crate::{
    config::{Model, VisionSettings},
    engine::salvage,
    error::Result,
    llm::{
        Carried, ChatMessage, EndReason, Llm, LlmError, ModelEvent, ModelRequest, Models, TokenUsage, ToolRequest,
        ToolSpec,
    },
};

const TOOL: &str = "lookup";
/// The result of the tool, which the model's last answer should contain.
const VALUE: &str = "teal";
/// Maximum width of a quoted answer, in terminal columns.
const QUOTED: usize = 60;

pub(super) async fn test(model: &Model, models: &Models, is_json: bool) -> Result<Outcome> {
    let mut report = Report::new(is_json);
    report.print(&provider(model, models))?;
    if models.is_demo(&model.name) {
        // The demo model does not answer questions; it only works on files.
        return Ok(report.outcome());
    }
    let trial = Trial { model, models };
    let answer = trial.ask(question(), false).await;
    for check in answer_checks(&answer) {
        report.print(&check)?;
    }
    if answer.error.is_none() {
        for check in trial.tool_checks().await {
            report.print(&check)?;
        }
        if let Some(check) = sight::check(&trial).await {
            report.print(&check)?;
        }
    }
    Ok(report.outcome())
}

/// Asks the model one question, and shows it an image if it sees images. Returns one check for both.
pub(super) async fn brief(model: &Model, models: &Models) -> Check {
    let trial = Trial { model, models };
    let heard = trial.ask(question(), false).await;
    let failure = heard.failure();
    let failure = failure.or_else(|| {
        heard
            .text
            .trim()
            .is_empty()
            .then(|| "the answer has no text".to_owned())
    });
    let check = match failure {
        Some(failure) => Check::bad("models", failure),
        None => match sight::check(&trial).await {
            Some(image) if image.verdict == Verdict::Ok => Check::ok("models", "answers, and sees images"),
            Some(image) => Check {
                name: "models",
                ..image
            },
            None => Check::ok("models", "answers"),
        },
    };
    Check {
        message: format!("{}: {}", model.name, check.message),
        ..check
    }
}

fn provider(model: &Model, models: &Models) -> Check {
    if models.is_demo(&model.name) {
        let message = format!(
            "no provider is configured for {}, so the built-in demo model answers with fixed rules and there is nothing \
             to test: set RUNYARD_OPENAI_BASE_URL or providers.{}",
            model.name, model.provider
        );
        return Check::warn("provider", message);
    }
    let upstream = models.upstream(&model.name).unwrap_or(&model.upstream);
    Check::ok(
        "provider",
        format!("provider {}, upstream model {upstream}", model.provider),
    )
}

fn question() -> Vec<ChatMessage> {
    let text = "Count from 1 to 20 in digits, separated by commas, and write nothing else.".to_owned();
    vec![ChatMessage::user(text)]
}

/// One answer of the model.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) text: String,
    chunks: usize,
    reasoning_bytes: usize,
    calls: Vec<ToolRequest>,
    carried: Option<Carried>,
    usage: Option<TokenUsage>,
    first_token: Option<Duration>,
    took: Duration,
    end: Option<EndReason>,
    error: Option<LlmError>,
}

impl Heard {
    fn take(&mut self, event: ModelEvent, since: Duration) {
        if matches!(
            event,
            ModelEvent::Text(_) | ModelEvent::Reasoning(_) | ModelEvent::ToolCall(_)
        ) {
            self.first_token.get_or_insert(since);
        }
        match event {
            ModelEvent::Retried { message } => remark(&one_line(&message)),
            ModelEvent::Text(text) => {
                self.chunks += 1;
                self.text.push_str(&text);
            }
            ModelEvent::Reasoning(text) => self.reasoning_bytes += text.len(),
            ModelEvent::ToolCall(call) => self.calls.push(call),
            ModelEvent::Usage(usage) => self.usage = Some(usage),
            ModelEvent::Carried(carried) => self.carried = Some(carried),
            ModelEvent::End(end) => self.end = Some(end),
        }
    }

    /// `None` if the answer ended normally or at the token limit.
    pub(super) fn failure(&self) -> Option<String> {
        match (&self.error, self.end) {
            (Some(error), _) => Some(error.to_string()),
            (None, None) => Some("the stream ended before the answer was complete".to_owned()),
            (None, Some(EndReason::Refused)) => Some("the provider refused to answer".to_owned()),
            (None, Some(EndReason::Done | EndReason::Length)) => None,
        }
    }

    pub(super) fn quoted(&self) -> String {
        cut(&one_line(&self.text), QUOTED)
    }
}

pub(super) struct Trial<'a> {
    pub(super) model: &'a Model,
    pub(super) models: &'a Models,
}

impl Trial<'_> {
    pub(super) async fn ask(&self, messages: Vec<ChatMessage>, with_tool: bool) -> Heard {
        let request = ModelRequest {
            model: self.model.name.clone(),
            system: "You are being tested. Follow the instructions exactly.".to_owned(),
            messages,
            tools: if with_tool { vec![tool()] } else { Vec::new() },
            output: None,
            max_output_tokens: self.model.max_output_tokens,
            reasoning_effort: None,
            extra_body: Map::new(),
            vision: VisionSettings::UNSET,
        };
        let asked_at = Instant::now();
        let mut heard = Heard::default();
        let mut stream = self.models.stream(request).await;
        while let Some(item) = stream.next().await {
            match item {
                Ok(event) => heard.take(event, asked_at.elapsed()),
                Err(error) => heard.error = Some(error),
            }
        }
        heard.took = asked_at.elapsed();
        heard
    }

    async fn tool_checks(&self) -> Vec<Check> {
        let text = format!("Call the tool {TOOL} with the key \"colour\". Then tell me the value in one word.");
        let mut messages = vec![ChatMessage::user(text)];
        let mut heard = self.ask(messages.clone(), true).await;
        if let Some(failure) = heard.failure() {
            return vec![Check::bad("tool call", failure)];
        }
        let is_native = !heard.calls.is_empty();
        if !is_native {
            heard.calls = salvage::calls(&heard.text, |name| name == TOOL);
        }
        let mut checks = vec![call_check(&heard, is_native)];
        let Some(call) = heard.calls.first().filter(|call| call.name == TOOL).cloned() else {
            return checks;
        };
        let reasoning = reasoning_check(&heard);
        let call = ToolRequest {
            id: "call_1".to_owned(),
            ..call
        };
        messages.push(ChatMessage::Assistant {
            text: heard.text,
            carried: heard.carried.filter(|_| heard.calls.len() == 1),
            tool_calls: vec![call.clone()],
        });
        messages.push(ChatMessage::Tool {
            tool_call_id: call.id,
            name: call.name,
            text: VALUE.to_owned(),
            images: Vec::new(),
            is_error: false,
        });
        checks.push(result_check(&self.ask(messages, true).await));
        checks.push(reasoning);
        checks
    }
}

fn tool() -> ToolSpec {
    ToolSpec {
        name: TOOL.to_owned(),
        description: "Returns the value that is stored under a key.".to_owned(),
        parameters: json!({
            "type": "object",
            "properties": {"key": {"type": "string", "description": "The key."}},
            "required": ["key"],
            "additionalProperties": false
        }),
    }
}

fn answer_checks(heard: &Heard) -> Vec<Check> {
    if let Some(failure) = heard.failure() {
        return vec![Check::bad("answer", failure)];
    }
    let mut checks = Vec::new();
    checks.push(if heard.text.trim().is_empty() {
        let message = if heard.end == Some(EndReason::Length) {
            "no text: the model used all answer tokens for reasoning; raise max_output_tokens or lower reasoning_effort"
        } else {
            "the model's answer contains no text"
        };
        Check::bad("answer", message)
    } else {
        Check::ok("answer", format!("received {:?}", heard.quoted()))
    });
    checks.push(if heard.chunks == 1 {
        Check::warn(
            "streaming",
            "the text arrived in one chunk, so users see it only when it is complete",
        )
    } else {
        Check::ok("streaming", format!("the text arrived in {} chunks", heard.chunks))
    });
    let first = heard.first_token.unwrap_or(heard.took);
    checks.push(Check::ok(
        "time",
        format!(
            "first token after {:.2} s, complete after {:.2} s",
            first.as_secs_f64(),
            heard.took.as_secs_f64()
        ),
    ));
    checks.push(match heard.usage {
        Some(usage) => Check::ok(
            "usage",
            format!(
                "{} prompt tokens ({} cached), {} answer tokens",
                usage.input, usage.cached_input, usage.output
            ),
        ),
        None => Check::warn(
            "usage",
            "the provider reports no token usage, so Runyard estimates it from the text",
        ),
    });
    checks
}

fn call_check(heard: &Heard, is_native: bool) -> Check {
    let Some(call) = heard.calls.first() else {
        let message = format!(
            "the model answered in text instead of calling the tool: {:?}; agents need a model that calls tools",
            heard.quoted()
        );
        return Check::bad("tool call", message);
    };
    let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
    if call.name != TOOL || !arguments.is_object() {
        let (name, arguments) = (one_line(&call.name), cut(&one_line(&call.arguments), QUOTED));
        return Check::bad(
            "tool call",
            format!("the model made an invalid call: {name} {arguments}; expected {TOOL} with a JSON object"),
        );
    }
    if arguments["key"].as_str().is_none() {
        return Check::warn(
            "tool call",
            format!("the argument `key` is missing or not a string: {arguments}"),
        );
    }
    if !is_native {
        return Check::warn(
            "tool call",
            "the model wrote the call as text; Runyard finds such calls at the end of an answer",
        );
    }
    Check::ok("tool call", format!("called {TOOL} with {arguments}"))
}

fn result_check(heard: &Heard) -> Check {
    if let Some(failure) = heard.failure() {
        return Check::bad("tool result", failure);
    }
    if heard.text.to_ascii_lowercase().contains(VALUE) {
        return Check::ok("tool result", "the answer contains the result of the tool");
    }
    Check::warn(
        "tool result",
        format!(
            "the provider accepts the tool result, but the answer does not contain it: {:?}",
            heard.quoted()
        ),
    )
}

fn reasoning_check(heard: &Heard) -> Check {
    let bytes = heard.reasoning_bytes;
    let message = match &heard.carried {
        Some(carried) => {
            format!(
                "{bytes} bytes of reasoning received; the provider's reasoning data is sent back with the next request \
                 (model family {})",
                carried.family
            )
        }
        None => format!("{bytes} bytes of reasoning received; the provider sent no data to return"),
    };
    Check::ok("reasoning", message)
}
