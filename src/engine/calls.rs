//! Running the tools that one answer calls.
//!
//! `turn` plans the calls, records them and gives them to [`Bench::run`]. Read-only calls run side by side, calls that change
//! something one after another, in order. The invariant: every call gets exactly one recorded result, whatever happens to
//! it, and no tool starts after the run was stopped or tool use has ended.

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, StreamExt, stream};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Outcome, Recorded, Sink,
    answer::HeardCall,
    record::{self, clean},
};
use crate::{
    error::Error,
    llm::{ChatMessage, ToolRequest},
    sandbox::Sandbox,
    tools::{Effect, OutputSink, ToolAnswer, ToolContext, ToolFailure, Toolbox, excerpt::excerpt},
    v1::{NoticeKind, ToolOutput, run_event::Event},
};

/// What the model is told of one call at most; tools have lower limits of their own.
pub const MAX_RESULT_BYTES: usize = 256 << 10;
/// Output of one call that is shown while it runs; the result has what the model is told.
pub const MAX_SHOWN_BYTES: usize = 512 << 10;
/// Calls in a row with arguments that do not fit, or to tools that do not exist, before tool use ends.
pub const MAX_MISTAKES: u32 = 5;
/// How long tools get to end when the run is stopped, before they are dropped.
const GRACE: Duration = Duration::from_secs(5);

/// A call and what is to be done with it.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) request: ToolRequest,
    pub(super) arguments: Value,
    pub(super) plan: Plan,
}

/// What is to be done with a call.
#[derive(Debug)]
pub(super) enum Plan {
    /// Run it.
    Run,
    /// Tell the model what is wrong with it.
    Mistaken(String),
    /// Tell the model why we do not run it.
    Refused(String),
}

/// A call that has ended.
struct Done {
    call: Planned,
    answer: ToolAnswer,
    took: Duration,
    fatal: Option<Error>,
}

/// Why calls after this one are not run.
#[derive(Debug)]
pub(super) enum WorkEnd {
    /// The model repeats its mistakes; a sentence about which.
    ToolsEnded(String),
    /// A tool says that the run cannot go on.
    Fatal(Error),
    /// The run's time is up.
    TimedOut,
    /// The cancel token.
    Stopped,
}

/// What came of the calls of one answer.
#[derive(Debug, Default)]
pub(super) struct Worked {
    /// The results, as the model is told.
    pub(super) messages: Vec<ChatMessage>,
    /// Why not all calls were run.
    pub(super) end: Option<WorkEnd>,
}

/// Failures in a row, over all answers of the run.
#[derive(Debug, Default)]
pub(super) struct Failures {
    last: Option<(String, Value)>,
    mistakes: u32,
}

impl Failures {
    /// Takes note of a result; says why tool use has to end, if it has.
    fn note(&mut self, done: &Done) -> Option<String> {
        let name = &done.call.request.name;
        match done.call.plan {
            Plan::Refused(_) => return None,
            Plan::Mistaken(_) => self.mistakes += 1,
            Plan::Run => self.mistakes = 0,
        }
        if !done.answer.is_error {
            self.last = None;
            return None;
        }
        let this = (name.clone(), done.call.arguments.clone());
        let is_same = self.last.as_ref() == Some(&this);
        self.last = Some(this);
        if is_same {
            return Some(format!(
                "the call of {name} failed twice in a row with the same arguments"
            ));
        }
        (self.mistakes >= MAX_MISTAKES).then(|| format!("{MAX_MISTAKES} calls in a row could not be run"))
    }
}

/// Where the calls of a run are worked on.
pub(super) struct Bench<'a> {
    pub(super) tools: Arc<Toolbox>,
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) cancel: &'a CancellationToken,
    pub(super) deadline: Instant,
    pub(super) max_parallel_calls: usize,
}

impl Bench<'_> {
    /// Decides what is to be done with a call.
    pub(super) fn plan(&self, heard: HeardCall) -> Planned {
        let HeardCall { request, refusal } = heard;
        let (arguments, checked) = match read_arguments(&request.arguments) {
            Ok(arguments) => {
                let checked = self.check(&request.name, &arguments);
                (arguments, checked)
            }
            Err(told) => {
                let checked = self.check_name(&request.name).and(Err(told));
                (Value::String(request.arguments.clone()), checked)
            }
        };
        let plan = match (refusal, checked) {
            (Some(told), _) => Plan::Refused(told),
            (None, Ok(())) => Plan::Run,
            (None, Err(told)) => Plan::Mistaken(told),
        };
        Planned {
            request,
            arguments,
            plan,
        }
    }

    fn check_name(&self, name: &str) -> Result<(), String> {
        if self.tools.find(name).is_some() {
            return Ok(());
        }
        let names: Vec<&str> = self.tools.names().collect();
        Err(format!(
            "there is no tool named {name:?}; the tools are {}",
            names.join(", ")
        ))
    }

    fn check(&self, name: &str, arguments: &Value) -> Result<(), String> {
        self.check_name(name)?;
        match self.tools.find(name).map(|slot| slot.check(arguments)) {
            Some(Err(mistakes)) => Err(format!("the arguments do not fit the schema of {name}: {mistakes}")),
            _ => Ok(()),
        }
    }

    /// Whether running a call may change something.
    pub(super) fn may_change(&self, call: &Planned) -> bool {
        matches!(call.plan, Plan::Run)
            && self
                .tools
                .find(&call.request.name)
                .is_some_and(|slot| slot.effect() == Effect::Changes)
    }

    /// Runs the calls; gives their results in order.
    ///
    /// # Errors
    /// [`Outcome::Abandoned`] when the sink refuses.
    pub(super) async fn run(&self, calls: Vec<Planned>, failures: &mut Failures) -> Result<Worked, Outcome> {
        let mut rest = VecDeque::from(calls);
        let mut worked = Worked::default();
        while worked.end.is_none() && !rest.is_empty() {
            let group = self.next_group(&mut rest);
            self.run_group(group, failures, &mut worked).await?;
        }
        let Some(end) = &worked.end else { return Ok(worked) };
        let (told, closing) = match end {
            WorkEnd::ToolsEnded(why) => {
                let notice = record::notice(NoticeKind::ToolsEnded, format!("Tool use was ended: {why}."));
                ("not run: tool use has ended", Some(notice))
            }
            WorkEnd::Fatal(_) => ("not run: an earlier call ended the run", None),
            WorkEnd::TimedOut => ("not run: the run's time was up", None),
            WorkEnd::Stopped => ("not run: the run was stopped", None),
        };
        let rest = rest.into_iter().map(|call| Done::told(call, told.to_owned())).collect();
        self.record(rest, closing, &mut worked).await?;
        Ok(worked)
    }

    /// The next call that changes something, or the calls before it.
    fn next_group(&self, rest: &mut VecDeque<Planned>) -> Vec<Planned> {
        let looking = rest.iter().take_while(|call| !self.may_change(call)).count();
        rest.drain(..looking.max(1)).collect()
    }

    async fn run_group(
        &self,
        group: Vec<Planned>,
        failures: &mut Failures,
        worked: &mut Worked,
    ) -> Result<(), Outcome> {
        let token = CancellationToken::new();
        // Whatever way this function is left, the tools are told.
        let _ends_tools = token.clone().drop_guard();
        let mut waiting: VecDeque<ToolRequest> = group.iter().map(|call| call.request.clone()).collect();
        let performed = group.into_iter().map(|call| self.perform(call, token.clone()));
        let mut running = stream::iter(performed)
            .buffered(self.max_parallel_calls.max(1))
            .ready_chunks(32);
        let mut give_up_at: Option<Instant> = None;
        loop {
            let chunk = tokio::select! {
                biased;
                end = self.interruption(), if give_up_at.is_none() => {
                    token.cancel();
                    worked.end = Some(end);
                    give_up_at = Some(Instant::now() + GRACE);
                    continue;
                }
                () = tokio::time::sleep_until(give_up_at.unwrap_or(self.deadline)), if give_up_at.is_some() => break,
                chunk = running.next() => chunk,
            };
            let Some(chunk) = chunk else { break };
            waiting.drain(..chunk.len());
            let ends: Vec<_> = chunk.iter().filter_map(|done| failures.note(done)).collect();
            let fatal = self.record(chunk, None, worked).await?;
            if worked.end.is_none() {
                worked.end = fatal
                    .map(WorkEnd::Fatal)
                    .or_else(|| ends.into_iter().next().map(WorkEnd::ToolsEnded));
            }
        }
        let lost = waiting.into_iter().map(|request| {
            let call = Planned {
                request,
                arguments: Value::Null,
                plan: Plan::Refused(String::new()),
            };
            Done::told(
                call,
                "stopped; the tool did not end in time and its outcome is unknown".to_owned(),
            )
        });
        self.record(lost.collect(), None, worked).await?;
        Ok(())
    }

    async fn interruption(&self) -> WorkEnd {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => WorkEnd::Stopped,
            () = tokio::time::sleep_until(self.deadline) => WorkEnd::TimedOut,
        }
    }

    /// Runs one call; a panic in the tool is an answer, too.
    async fn perform(&self, mut call: Planned, cancel: CancellationToken) -> Done {
        match &mut call.plan {
            Plan::Run => {}
            Plan::Mistaken(told) | Plan::Refused(told) => {
                let told = told.clone();
                return Done::told(call, told);
            }
        }
        let Some(slot) = self.tools.find(&call.request.name) else {
            return Done::told(call, "there is no such tool".to_owned());
        };
        if cancel.is_cancelled() {
            return Done::told(call, "not run: the run was stopped".to_owned());
        }
        let started = Instant::now();
        let output = self.output(&call.request.id);
        let context = ToolContext {
            sandbox: Arc::clone(&self.sandbox),
            output,
            cancel,
        };
        let result = AssertUnwindSafe(slot.tool.call(call.arguments.clone(), &context))
            .catch_unwind()
            .await;
        let told = |text: String| ToolAnswer {
            text,
            is_error: true,
            truncated: false,
        };
        let (answer, fatal) = match result {
            Ok(Ok(answer)) => (answer, None),
            Ok(Err(ToolFailure::Told(text))) => (told(text), None),
            Ok(Err(ToolFailure::Fatal(error))) => (told(error.message().to_owned()), Some(error)),
            Err(_panic) => {
                tracing::error!(tool = %call.request.name, "a tool panicked");
                (
                    told("the tool itself failed; this is a fault of the tool, not of the call".to_owned()),
                    None,
                )
            }
        };
        Done {
            call,
            answer: bounded(&answer),
            took: started.elapsed(),
            fatal,
        }
    }

    /// Where a tool's output goes while it runs: to the sink, up to a limit.
    fn output(&self, tool_call_id: &str) -> OutputSink {
        let sink = Arc::clone(&self.sink);
        let tool_call_id = tool_call_id.to_owned();
        let shown = AtomicUsize::new(0);
        Arc::new(move |text: String| {
            let before = shown.fetch_add(text.len(), Ordering::Relaxed);
            if text.is_empty() || before > MAX_SHOWN_BYTES {
                return;
            }
            let mut text = clean(&text);
            if before + text.len() > MAX_SHOWN_BYTES {
                text.truncate(text.floor_char_boundary(MAX_SHOWN_BYTES - before));
                text.push_str("\n[more output is not shown while the tool runs]\n");
                shown.fetch_add(MAX_SHOWN_BYTES, Ordering::Relaxed);
            }
            sink.say(Event::ToolOutput(ToolOutput {
                tool_call_id: tool_call_id.clone(),
                text,
            }));
        })
    }

    /// Records results; gives the first fatal error among them.
    async fn record(
        &self,
        done: Vec<Done>,
        closing: Option<Recorded>,
        worked: &mut Worked,
    ) -> Result<Option<Error>, Outcome> {
        let mut events = Vec::with_capacity(done.len() + 1);
        let mut fatal = None;
        for Done {
            call,
            answer,
            took,
            fatal: error,
        } in done
        {
            let (event, message) = record::tool_result(&call.request, &answer, took);
            events.push(event);
            worked.messages.push(message);
            fatal = fatal.or(error);
        }
        events.extend(closing);
        if !events.is_empty() {
            self.sink.record(events).await.map_err(Outcome::Abandoned)?;
        }
        Ok(fatal)
    }
}

impl Done {
    /// A call that was not run.
    fn told(call: Planned, text: String) -> Self {
        let answer = ToolAnswer {
            text,
            is_error: true,
            truncated: false,
        };
        Self {
            call,
            answer,
            took: Duration::ZERO,
            fatal: None,
        }
    }
}

fn bounded(answer: &ToolAnswer) -> ToolAnswer {
    let text = excerpt(&answer.text, MAX_RESULT_BYTES);
    let truncated = answer.truncated || text.len() < answer.text.len();
    ToolAnswer {
        text: clean(&text),
        is_error: answer.is_error,
        truncated,
    }
}

/// Reads what a model gave as arguments: a JSON object, the same inside a JSON string, or nothing.
fn read_arguments(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let value: Value =
        serde_json::from_str(text).map_err(|error| format!("the arguments are not valid JSON: {error}"))?;
    let value = match value {
        Value::String(inner) => serde_json::from_str(&inner).unwrap_or(Value::String(inner)),
        value => value,
    };
    if value.is_object() {
        Ok(value)
    } else {
        Err("the arguments must be a JSON object".to_owned())
    }
}
