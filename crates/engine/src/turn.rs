//! The main loop: call the model, run its tool calls, repeat.
//!
//! Invariants: an answer and its tool calls are recorded before any of the calls starts. If an event cannot be
//! recorded, the loop stops.

mod again;
mod fit;
mod output;
mod reply;

use std::{collections::HashSet, sync::Arc};

use runyard_contract::{error::Code, structs::without_nul, v1::NoticeKind};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use self::output::Output;
use super::{
    Job, ModelLimits, Outcome, RUN_TIMEOUT, Recorded, Sink, TOKEN_BUDGET_EXHAUSTED,
    answer::{Answer, Ended, Listener, ReceivedCall},
    budget::Meter,
    calls::{CallRunner, Decision, Failures, Planned, WorkEnd},
    compact::estimate_all,
    history::{INTERRUPTED, mend, note},
    inputs::CallAnswer,
    record,
};
use crate::{
    config::VisionSettings,
    llm::{ChatMessage, Llm, LlmError, ModelRequest, ReasoningEffort, ToolRequest, ToolSpec},
    tools::background::{self, Background, started_in},
};

/// Executes a run until it ends. The caller records the run's final state.
pub async fn run(llm: &dyn Llm, job: Job, sink: Arc<dyn Sink>, cancel: &CancellationToken) -> Outcome {
    let mut turn = RunLoop::new(llm, job, sink, cancel);
    let (Ok(outcome) | Err(outcome)) = turn.go().await;
    turn.bench.background.close().await;
    outcome
}

enum Next {
    AskAgain,
    /// The run is complete, with this output.
    Finish(Option<Value>),
}

struct RunLoop<'a> {
    llm: &'a dyn Llm,
    sink: Arc<dyn Sink>,
    cancel: &'a CancellationToken,
    bench: CallRunner<'a>,
    model: ModelLimits,
    reasoning_effort: Option<ReasoningEffort>,
    system_prompt: String,
    specs: Vec<ToolSpec>,
    messages: Vec<ChatMessage>,
    interrupted: Vec<ToolRequest>,
    answers: Vec<CallAnswer>,
    ids: HashSet<String>,
    meter: Meter,
    failures: Failures,
    /// Note to the model, added to the next request.
    note: Option<String>,
    /// Whether the next model call is the last one of the run. The last call offers no tools.
    is_last: bool,
    was_empty: bool,
    is_taken_up: bool,
    /// Number of incomplete answers in the current step.
    broken: u32,
    /// Raised output token limit, set after an answer without text reached the normal limit.
    larger_answer: Option<u32>,
    /// Maximum estimated tokens of the conversation. Lowered after the provider rejects a conversation that should
    /// fit.
    ceiling: u64,
    /// `None` if the final answer is free text.
    output: Option<Output>,
}

impl<'a> RunLoop<'a> {
    fn new(llm: &'a dyn Llm, mut job: Job, sink: Arc<dyn Sink>, cancel: &'a CancellationToken) -> Self {
        let meter = Meter::new(&job.budget, job.steps_done, job.tokens_used);
        let note = resumes_without(&job).map(str::to_owned);
        let reports = Arc::clone(&sink);
        let background = Background::new(
            meter.deadline(),
            started_in(&job.history),
            Arc::new(move |text| reports.say(record::notice_event(NoticeKind::Other, text))),
        );
        let output = Output::of(llm, &mut job);
        let bench = CallRunner {
            tools: Arc::clone(&job.tools),
            workplace: job.workplace,
            sink: Arc::clone(&sink),
            background: Arc::new(background),
            documents: Arc::default(),
            cancel,
            deadline: meter.deadline(),
            max_parallel_calls: job.budget.max_parallel_calls,
        };
        Self {
            llm,
            sink,
            cancel,
            bench,
            specs: job.tools.specs(),
            model: job.model,
            reasoning_effort: job.reasoning_effort,
            system_prompt: job.system_prompt,
            ids: call_ids(&job.history),
            messages: job.history,
            interrupted: job.interrupted,
            answers: job.answers,
            meter,
            failures: Failures::default(),
            note,
            is_last: false,
            was_empty: false,
            is_taken_up: job.steps_done > 0,
            broken: 0,
            larger_answer: None,
            ceiling: u64::MAX,
            output,
        }
    }

    async fn go(&mut self) -> Result<Outcome, Outcome> {
        self.settle_interrupted().await?;
        self.messages = mend(std::mem::take(&mut self.messages));
        self.receive().await?;
        if !matches!(
            self.messages.last(),
            Some(ChatMessage::User { .. } | ChatMessage::Tool { .. })
        ) && let Some(outcome) = self.recover()?
        {
            return Ok(outcome);
        }
        loop {
            self.receive().await?;
            self.check_budget().await?;
            let answer = self.ask().await?;
            match self.take(answer).await? {
                Next::AskAgain => {}
                Next::Finish(output) => return Ok(self.completed(output)),
            }
        }
    }

    /// Adds the messages that were added to the run to the conversation. Returns whether there were any.
    async fn receive(&mut self) -> Result<bool, Outcome> {
        let added = self.sink.added().await.map_err(Outcome::Abandoned)?;
        self.record(added.iter().map(record::user_message).collect()).await?;
        let is_any = !added.is_empty();
        self.messages
            .extend(added.into_iter().map(|added| ChatMessage::user(added.text)));
        Ok(is_any)
    }

    /// Handles the calls that the previous worker did not finish. Calls whose inputs were answered continue. Of the
    /// others, read-only calls run again, and calls that may have changed something get a result that explains the
    /// interruption.
    async fn settle_interrupted(&mut self) -> Result<(), Outcome> {
        let answered: HashSet<&str> = self
            .messages
            .iter()
            .filter_map(|message| match message {
                ChatMessage::Tool { tool_call_id, .. } => Some(tool_call_id.as_str()),
                ChatMessage::User { .. } | ChatMessage::Assistant { .. } => None,
            })
            .collect();
        let open: Vec<ToolRequest> = self
            .interrupted
            .iter()
            .filter(|call| !answered.contains(call.id.as_str()))
            .cloned()
            .collect();
        if self.answers.iter().any(|answer| !answer.is_consumed) {
            self.sink.consume_answers().await.map_err(Outcome::Abandoned)?;
        }
        let planned = open.into_iter().enumerate();
        let planned = planned.map(|(position, request)| self.resume(request, position == 0));
        self.work(planned.collect()).await
    }

    /// Plans a call without a result. Calls that may change something run one at a time, so a call after the first
    /// call without a result has not started.
    fn resume(&self, request: ToolRequest, is_first: bool) -> Planned {
        let answer = self.answers.iter().find(|answer| answer.tool_call_id == request.id);
        let mut call = self.bench.plan(ReceivedCall { request, refusal: None });
        if let Some(answer) = answer {
            return answer.apply(call, is_first, &self.bench);
        }
        let may_have_started = is_first || self.answers.is_empty();
        if may_have_started && self.bench.may_change(&call) {
            call.plan = Decision::Refused(INTERRUPTED.to_owned());
        }
        call
    }

    /// Ends the run if it was cancelled or has used its tokens. If no steps are left, makes the next answer the last
    /// one.
    async fn check_budget(&mut self) -> Result<(), Outcome> {
        if self.cancel.is_cancelled() {
            return Err(Outcome::Stopped);
        }
        if self.meter.has_spent_own_steps() {
            return Err(self
                .budget_is_spent("The run has made all model calls of its budget.")
                .await?);
        }
        if self.meter.tokens_left() == 0 {
            self.record(vec![record::notice(
                NoticeKind::BudgetExhausted,
                "The run has used its token budget.",
            )])
            .await?;
            return Err(failed(
                TOKEN_BUDGET_EXHAUSTED,
                "the run exceeded its token budget; start another run in this thread to continue",
            ));
        }
        if !self.is_last && !self.specs.is_empty() && !self.meter.has_steps() {
            let message = "The run has used all its steps; the model now writes a summary.";
            self.record(vec![record::notice(NoticeKind::BudgetExhausted, message)])
                .await?;
            self.end_tools("the run has used all its steps");
        }
        Ok(())
    }

    /// Makes the next answer the last one. The next model call offers no tools, and a note tells the model the
    /// reason.
    fn end_tools(&mut self, why: &str) {
        self.is_last = true;
        let wanted = if self.output.is_some() {
            "with the JSON object of the final answer, from what you have found so far"
        } else {
            "in text: say what was done, what was found, which files exist, and what is missing and why"
        };
        self.note = Some(format!("You can no longer call tools: {why}. Answer now {wanted}."));
    }

    /// Calls the model. If the provider finds the conversation too long, shortens the conversation and calls the
    /// model again.
    async fn ask(&mut self) -> Result<Answer, Outcome> {
        let mut rejections = 0;
        loop {
            self.fit().await?;
            let listener = Listener {
                sink: &*self.sink,
                cancel: self.cancel,
                deadline: self.meter.deadline(),
            };
            let mut request = self.request();
            request.max_output_tokens = self.reserve(request.max_output_tokens).await?;
            let sends_schema = request.output.is_some();
            let answer = listener.hear(self.llm, request).await;
            match &answer.ended {
                Ended::Broken(LlmError::TooLong { window, .. }) if !answer.has_begun() => {
                    rejections += 1;
                    if !self.refit(*window, rejections).await? {
                        return Ok(answer);
                    }
                }
                Ended::Broken(LlmError::Refused(why)) if sends_schema && !answer.has_begun() => {
                    self.stop_sending_schema(why).await?;
                }
                _ => return Ok(answer),
            }
        }
    }

    fn request(&self) -> ModelRequest {
        let mut messages = self.messages.clone();
        messages.extend(self.note.as_deref().map(note));
        let most = u32::try_from(self.meter.tokens_left()).unwrap_or(u32::MAX).max(1);
        let tools = if self.is_last { Vec::new() } else { self.specs.clone() };
        ModelRequest {
            model: self.model.name.clone(),
            system: self.system_prompt.clone(),
            messages,
            output: self.output.as_ref().and_then(|output| output.schema(!tools.is_empty())),
            tools,
            max_output_tokens: self.larger_answer.unwrap_or(self.model.max_output_tokens).min(most),
            reasoning_effort: self.reasoning_effort,
            extra_body: serde_json::Map::new(),
            vision: VisionSettings::UNSET,
        }
    }

    /// Reserves credits for a model call. Returns the number of output tokens that the credits allow, up to
    /// `max_output_tokens`.
    async fn reserve(&self, max_output_tokens: u32) -> Result<u32, Outcome> {
        let input_tokens = self.fixed_tokens().saturating_add(estimate_all(&self.messages));
        let reserved = self.sink.reserve(input_tokens, max_output_tokens).await;
        match reserved {
            Ok(Some(allowed)) => Ok(allowed),
            Ok(None) => Err(self
                .budget_is_spent("The run has used the credits of its budget.")
                .await?),
            Err(error) if error.code() == Code::InsufficientCredits => {
                Err(failed(error.code().as_str(), error.message()))
            }
            Err(error) => Err(Outcome::Abandoned(error)),
        }
    }

    async fn budget_is_spent(&self, message: &str) -> Result<Outcome, Outcome> {
        self.record(vec![record::notice(NoticeKind::BudgetExhausted, message)])
            .await?;
        Ok(Outcome::BudgetSpent)
    }

    async fn work(&mut self, calls: Vec<Planned>) -> Result<(), Outcome> {
        let worked = self.bench.run(calls, &mut self.failures).await?;
        self.messages.extend(worked.messages);
        match worked.end {
            None => Ok(()),
            Some(WorkEnd::ToolsEnded(why)) => {
                self.end_tools(&why);
                Ok(())
            }
            Some(WorkEnd::Fatal(error)) => {
                // The run's error omits the cause, so the cause is logged here.
                tracing::warn!(%error, "a fatal tool error ended the run");
                Err(failed(error.code().as_str(), error.message()))
            }
            Some(WorkEnd::Waits(calls)) => Err(Outcome::Waiting(calls)),
            Some(WorkEnd::Stopped) => Err(Outcome::Stopped),
            Some(WorkEnd::TimedOut) => Err(self.time_is_up(Vec::new()).await?),
        }
    }

    async fn time_is_up(&self, mut events: Vec<Recorded>) -> Result<Outcome, Outcome> {
        events.push(record::notice(
            NoticeKind::BudgetExhausted,
            "The run's time limit was reached.",
        ));
        self.record(events).await?;
        if self.meter.is_own_time() {
            return Ok(Outcome::BudgetSpent);
        }
        Ok(failed(
            RUN_TIMEOUT,
            "the run exceeded its time limit; start another run in this thread to continue",
        ))
    }

    async fn record(&self, events: Vec<Recorded>) -> Result<(), Outcome> {
        if events.is_empty() {
            return Ok(());
        }
        self.sink.record(events).await.map_err(Outcome::Abandoned)
    }
}

fn failed(code: &str, message: &str) -> Outcome {
    Outcome::Failed {
        code: code.to_owned(),
        // The message may quote the provider and thus contain NUL, which the database cannot store.
        message: without_nul(message),
    }
}

/// Returns a note for the model if the run was resumed, and it does not know the end of background processes that an
/// earlier worker started.
fn resumes_without(job: &Job) -> Option<&'static str> {
    let own = job.history.get(job.own_history..).unwrap_or_default();
    (job.steps_done > 0 && background::has_running(own)).then_some(background::RESUMED)
}

fn call_ids(messages: &[ChatMessage]) -> HashSet<String> {
    messages
        .iter()
        .filter_map(|message| match message {
            ChatMessage::Assistant { tool_calls, .. } => Some(tool_calls),
            ChatMessage::User { .. } | ChatMessage::Tool { .. } => None,
        })
        .flatten()
        .map(|call| call.id.clone())
        .collect()
}
