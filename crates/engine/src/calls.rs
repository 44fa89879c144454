//! Runs the tool calls of one answer. Read-only calls run in parallel. Calls that may change the workspace run one at
//! a time, in order.
//!
//! Invariants: every call gets exactly one recorded result, and no tool starts after the run was stopped. If failures
//! turn the tools off, the remaining calls of the same parallel group still run.

mod failures;
mod plan;
mod span;

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
use opentelemetry::context::FutureExt as _;
use runyard_contract::{
    structs::without_nul,
    v1::{NoticeKind, ToolOutput, run_event::Event},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Outcome, Recorded, SandboxSource, Sink, ToolOutcome, record};
use crate::{
    documents::RecentDocuments,
    error::Error,
    inputs::WaitingCall,
    llm::{ChatMessage, ToolRequest},
    tools::{OutputSink, ToolAnswer, ToolContext, ToolFailure, Toolbox, background::Background, excerpt::excerpt},
};

pub(super) use failures::Failures;
pub use failures::MAX_MISTAKES;
pub(super) use plan::{Decision, Planned};

/// Maximum bytes of a tool result. The built-in tools have lower limits.
pub const MAX_RESULT_BYTES: usize = 256 << 10;
/// Maximum number of images of a tool result.
const MAX_IMAGES: usize = 16;
/// Maximum bytes of live output per call that clients receive while the tool runs. Does not limit the result.
pub const MAX_SHOWN_BYTES: usize = 512 << 10;
/// Time for cancelled tools to finish. Tools that still run afterwards are dropped.
const GRACE: Duration = Duration::from_secs(5);

/// A call and its result. A call that was not run has an error result.
struct Done {
    call: Planned,
    answer: ToolAnswer,
    took: Duration,
    fatal: Option<Error>,
    /// The call has not ended: the run waits for these inputs.
    waits: Vec<WaitingCall>,
}

#[derive(Debug)]
pub(super) enum WorkEnd {
    /// Tools were turned off because calls kept failing; the text is the reason.
    ToolsEnded(String),
    /// A tool failed with an error that ends the run.
    Fatal(Error),
    /// Calls need inputs. These calls and all later ones have no results yet. A call can need several inputs.
    Waits(Vec<WaitingCall>),
    /// The run reached its time limit.
    TimedOut,
    Stopped,
}

#[derive(Debug, Default)]
pub(super) struct Worked {
    /// Results as messages for the model.
    pub(super) messages: Vec<ChatMessage>,
    /// Reason why no further calls are run; `None` if the model may call tools again.
    pub(super) end: Option<WorkEnd>,
}

pub(super) struct CallRunner<'a> {
    pub(super) tools: Arc<Toolbox>,
    pub(super) workplace: Arc<dyn SandboxSource>,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) background: Arc<Background>,
    pub(super) documents: Arc<RecentDocuments>,
    pub(super) cancel: &'a CancellationToken,
    pub(super) deadline: Instant,
    pub(super) max_parallel_calls: usize,
}

impl CallRunner<'_> {
    /// Runs the calls and returns their results in order.
    ///
    /// # Errors
    /// [`Outcome::Abandoned`] if the sink cannot record the results.
    pub(super) async fn run(&self, calls: Vec<Planned>, failures: &mut Failures) -> Result<Worked, Outcome> {
        failures.next_answer();
        let mut rest = VecDeque::from(calls);
        let mut worked = Worked::default();
        while worked.end.is_none() && !rest.is_empty() {
            if rest.front().is_some_and(Planned::asks) {
                worked.end = Some(WorkEnd::Waits(rest.into_iter().filter_map(waiting).collect()));
                return Ok(worked);
            }
            let group = self.next_group(&mut rest);
            self.run_group(group, failures, &mut worked).await?;
        }
        let Some(end) = &mut worked.end else { return Ok(worked) };
        let (told, closing) = match end {
            WorkEnd::ToolsEnded(why) => {
                let notice = record::notice(
                    NoticeKind::ToolsEnded,
                    format!("The model can no longer call tools: {why}."),
                );
                ("not run: you can no longer call tools", Some(notice))
            }
            WorkEnd::Waits(waits) => {
                waits.extend(rest.into_iter().filter_map(waiting));
                return Ok(worked);
            }
            WorkEnd::Fatal(_) => ("not run: an earlier call ended the run", None),
            WorkEnd::TimedOut => ("not run: the run's time limit was reached", None),
            WorkEnd::Stopped => ("not run: the run was stopped", None),
        };
        let rest = rest.into_iter().map(|call| Done::told(call, told.to_owned())).collect();
        self.record(rest, closing, &mut worked).await?;
        Ok(worked)
    }

    /// Removes the next group of calls from `rest`: the leading read-only calls or, if there are none, one call.
    fn next_group(&self, rest: &mut VecDeque<Planned>) -> Vec<Planned> {
        let looking = rest
            .iter()
            .take_while(|call| !self.may_change(call) && !call.asks())
            .count();
        rest.drain(..looking.max(1)).collect()
    }

    async fn run_group(
        &self,
        group: Vec<Planned>,
        failures: &mut Failures,
        worked: &mut Worked,
    ) -> Result<(), Outcome> {
        let token = CancellationToken::new();
        // Cancels the tools when this function returns, even with an error.
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
            let (asking, done): (Vec<Done>, Vec<Done>) = chunk.into_iter().partition(|done| !done.waits.is_empty());
            let ends: Vec<_> = done.iter().filter_map(|done| self.note(failures, done)).collect();
            let fatal = self.record(done, None, worked).await?;
            if worked.end.is_none() {
                worked.end = fatal
                    .map(WorkEnd::Fatal)
                    .or_else(|| ends.into_iter().next().map(WorkEnd::ToolsEnded));
            }
            self.wait(asking, worked).await?;
        }
        let lost = waiting.into_iter().map(|request| {
            Done::told(
                Planned::told(request, String::new()),
                "stopped: the tool did not end in time, so its outcome is unknown".to_owned(),
            )
        });
        self.record(lost.collect(), None, worked).await?;
        Ok(())
    }

    /// Lets the run wait for the inputs of calls that have started. If the run ends for another reason, these calls get a
    /// result instead.
    async fn wait(&self, asking: Vec<Done>, worked: &mut Worked) -> Result<(), Outcome> {
        let inputs = asking.iter().flat_map(|done| done.waits.clone());
        match &mut worked.end {
            None if asking.is_empty() => {}
            None => worked.end = Some(WorkEnd::Waits(inputs.collect())),
            Some(WorkEnd::Waits(waits)) => waits.extend(inputs),
            Some(_) => {
                self.record(asking, None, worked).await?;
            }
        }
        Ok(())
    }

    fn note(&self, failures: &mut Failures, done: &Done) -> Option<String> {
        if done.answer.is_error {
            return failures.failed(&done.call);
        }
        if self.may_change(&done.call) {
            failures.changed();
        } else {
            failures.looked();
        }
        None
    }

    async fn interruption(&self) -> WorkEnd {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => WorkEnd::Stopped,
            () = tokio::time::sleep_until(self.deadline) => WorkEnd::TimedOut,
        }
    }

    /// A panic in the tool becomes an error result.
    async fn perform(&self, mut call: Planned, cancel: CancellationToken) -> Done {
        match &mut call.plan {
            Decision::Run => {}
            Decision::Answered(answer) => {
                let answer = bounded(answer);
                return Done::without_work(call, answer);
            }
            Decision::Ask(_) => return Done::told(call, "not run: the call needs an input".to_owned()),
            Decision::Invalid(told) | Decision::Refused(told) => {
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
        let context = ToolContext {
            workplace: Arc::clone(&self.workplace),
            output: self.output(&call.request.id),
            background: Arc::clone(&self.background),
            documents: Arc::clone(&self.documents),
            notice: self.notice(),
            continuation: call.continuation.take(),
            cancel,
        };
        let span = span::of_call(&call.request);
        let work = async { slot.tool.call(call.arguments.clone(), &context).await }.with_context(span.clone());
        let result = AssertUnwindSafe(work).catch_unwind().await;
        let told = |text: String| ToolAnswer::failed(text);
        let mut waits = Vec::new();
        let (answer, fatal) = match result {
            Ok(Ok(answer)) => (answer, None),
            Ok(Err(ToolFailure::Reported(text))) => (told(text), None),
            Ok(Err(ToolFailure::Fatal(error))) => (told(error.message().to_owned()), Some(error)),
            Ok(Err(ToolFailure::Asks(questions))) => {
                waits = questions.of_call(&call.request.id, &call.request.name, &call.arguments);
                (
                    told("the call did not end: the tool asked a question, and the run ended".to_owned()),
                    None,
                )
            }
            Err(_panic) => {
                tracing::error!(tool = %call.request.name, "a tool panicked");
                (
                    told("the tool failed because of an internal error; your call is not the cause".to_owned()),
                    None,
                )
            }
        };
        let mut answer = bounded(&answer);
        if let Some(remark) = &call.remark {
            answer.text = format!("{remark}\n\n{}", answer.text);
        }
        let outcome = match &fatal {
            Some(_) => ToolOutcome::Fatal,
            None if answer.is_error => ToolOutcome::Error,
            None => ToolOutcome::Ok,
        };
        if waits.is_empty() {
            span::ended(&span, outcome);
        }
        drop(span);
        let took = started.elapsed();
        self.sink.tool_ended(&call.request.name, outcome, took);
        Done {
            call,
            answer,
            took,
            fatal,
            waits,
        }
    }

    fn notice(&self) -> OutputSink {
        let sink = Arc::clone(&self.sink);
        Arc::new(move |text: String| sink.say(record::notice_event(NoticeKind::Other, text)))
    }

    /// Returns the callback for a tool's live output, which forwards up to [`MAX_SHOWN_BYTES`] bytes.
    fn output(&self, tool_call_id: &str) -> OutputSink {
        let sink = Arc::clone(&self.sink);
        let tool_call_id = tool_call_id.to_owned();
        let shown = AtomicUsize::new(0);
        Arc::new(move |text: String| {
            let before = shown.fetch_add(text.len(), Ordering::Relaxed);
            if text.is_empty() || before > MAX_SHOWN_BYTES {
                return;
            }
            let mut text = without_nul(&text);
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

    /// Records results, followed by the notice `closing`. Returns the first fatal error.
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
            waits: _,
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
    /// Creates an error result for a call that was not run or did not finish in time.
    fn told(call: Planned, text: String) -> Self {
        Self::without_work(call, ToolAnswer::failed(text))
    }

    fn without_work(call: Planned, answer: ToolAnswer) -> Self {
        Self {
            call,
            answer,
            took: Duration::ZERO,
            fatal: None,
            waits: Vec::new(),
        }
    }
}

fn waiting(call: Planned) -> Option<WaitingCall> {
    let Decision::Ask(ask) = call.plan else { return None };
    Some(WaitingCall {
        tool_call_id: call.request.id,
        name: call.request.name,
        arguments: call.arguments,
        ask,
        question: None,
    })
}

fn bounded(answer: &ToolAnswer) -> ToolAnswer {
    let text = excerpt(&answer.text, MAX_RESULT_BYTES);
    let truncated = answer.truncated || text.len() < answer.text.len();
    ToolAnswer {
        text: without_nul(&text),
        is_error: answer.is_error,
        truncated,
        images: answer.images.iter().take(MAX_IMAGES).cloned().collect(),
    }
}
