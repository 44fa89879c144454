//! The loop: ask the model, run what it calls, repeat.
//!
//! [`run`] is called by `worker`, once per claim of a run. The invariant: what the model said is recorded, together with the
//! calls that it makes, before any of them starts; and after a sink that refused nothing happens any more.

use std::{collections::HashSet, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{
    Job, MODEL_CONTEXT_EXCEEDED, MODEL_CREDENTIALS_REFUSED, MODEL_EMPTY_ANSWER, MODEL_REFUSED, MODEL_STREAM_BROKEN,
    MODEL_UNAVAILABLE, ModelLimits, Outcome, RUN_TIMEOUT, Recorded, Sink, TOKEN_BUDGET_EXHAUSTED,
    answer::{Answer, Ended, HeardCall, Listener},
    budget::{Meter, plausible},
    calls::{Bench, Failures, Plan, Planned, WorkEnd},
    compact::{compact, estimate_all, estimate_bytes},
    history::{INTERRUPTED, mend, note},
    record, salvage,
};
use crate::{
    llm::{ChatMessage, EndReason, Llm, LlmError, ModelRequest, TokenUsage, ToolRequest, ToolSpec},
    v1::NoticeKind,
};

/// A compacted conversation fills this part of its room, so that it is not compacted again at the next step.
const COMPACTED_PERCENT: u64 = 75;

/// Runs an agent to its end. Everything that happened is in the sink; the caller records the run's last state.
pub async fn run(llm: &dyn Llm, job: Job, sink: Arc<dyn Sink>, cancel: &CancellationToken) -> Outcome {
    let mut turn = Turn::new(llm, job, sink, cancel);
    match turn.go().await {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

/// What follows an answer.
enum Next {
    AskAgain,
    Finish,
}

struct Turn<'a> {
    llm: &'a dyn Llm,
    sink: Arc<dyn Sink>,
    cancel: &'a CancellationToken,
    bench: Bench<'a>,
    model: ModelLimits,
    system_prompt: String,
    specs: Vec<ToolSpec>,
    messages: Vec<ChatMessage>,
    interrupted: Vec<ToolRequest>,
    ids: HashSet<String>,
    meter: Meter,
    failures: Failures,
    /// What the model is told at the end of the next request.
    note: Option<String>,
    /// Whether the next answer is the last, given without tools.
    is_last: bool,
    was_empty: bool,
    is_taken_up: bool,
    /// Divides the window after the provider said that our estimate was too low.
    squeeze: u64,
}

impl<'a> Turn<'a> {
    fn new(llm: &'a dyn Llm, job: Job, sink: Arc<dyn Sink>, cancel: &'a CancellationToken) -> Self {
        let meter = Meter::new(&job.budget, job.steps_done, job.tokens_used);
        let bench = Bench {
            tools: Arc::clone(&job.tools),
            sandbox: job.sandbox,
            sink: Arc::clone(&sink),
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
            system_prompt: job.system_prompt,
            ids: call_ids(&job.history),
            messages: job.history,
            interrupted: job.interrupted,
            meter,
            failures: Failures::default(),
            note: None,
            is_last: false,
            was_empty: false,
            is_taken_up: job.steps_done > 0,
            squeeze: 1,
        }
    }

    async fn go(&mut self) -> Result<Outcome, Outcome> {
        self.settle_interrupted().await?;
        self.messages = mend(std::mem::take(&mut self.messages));
        if !matches!(
            self.messages.last(),
            Some(ChatMessage::User { .. } | ChatMessage::Tool { .. })
        ) {
            if self.is_taken_up && !self.messages.is_empty() {
                // The worker before recorded the last answer and went away before it could say so.
                return Ok(Outcome::Completed);
            }
            self.messages.push(note("Go on."));
        }
        loop {
            self.check_budget().await?;
            let answer = self.ask().await?;
            match self.take(answer).await? {
                Next::AskAgain => {}
                Next::Finish => return Ok(Outcome::Completed),
            }
        }
    }

    /// Gives the calls of a worker that went away their results: what only looks is repeated, of the rest the model is told.
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
        let planned = open.into_iter().map(|request| {
            let mut call = self.bench.plan(HeardCall { request, refusal: None });
            if self.bench.may_change(&call) {
                call.plan = Plan::Refused(INTERRUPTED.to_owned());
            }
            call
        });
        let planned = planned.collect();
        self.work(planned).await
    }

    /// Decides whether the model may be asked once more, and with tools.
    async fn check_budget(&mut self) -> Result<(), Outcome> {
        if self.cancel.is_cancelled() {
            return Err(Outcome::Stopped);
        }
        if self.meter.tokens_left() == 0 {
            self.record(vec![record::notice(
                NoticeKind::BudgetExhausted,
                "The run's token budget is used up.",
            )])
            .await?;
            return Err(failed(TOKEN_BUDGET_EXHAUSTED, "the run used more tokens than it may"));
        }
        if !self.is_last && !self.specs.is_empty() && !self.meter.has_steps() {
            let message = "The run's steps are used up; the model is asked to sum up.";
            self.record(vec![record::notice(NoticeKind::BudgetExhausted, message)])
                .await?;
            self.end_tools("the steps of this run are used up");
        }
        Ok(())
    }

    /// The next answer is the last one, without tools.
    fn end_tools(&mut self, why: &str) {
        self.is_last = true;
        self.note = Some(format!(
            "You cannot call tools any more: {why}. Answer now, in words: what was done, what was found, which files there \
             are, and what is missing and why."
        ));
    }

    /// Asks the model; a conversation that the provider finds too long is compacted harder and tried once more.
    async fn ask(&mut self) -> Result<Answer, Outcome> {
        let mut has_squeezed = false;
        loop {
            self.fit().await?;
            let listener = Listener {
                sink: &*self.sink,
                cancel: self.cancel,
                deadline: self.meter.deadline(),
            };
            let answer = listener.hear(self.llm, self.request()).await;
            match &answer.ended {
                Ended::Broken(LlmError::TooLong(_)) if !answer.has_begun() && !has_squeezed => {
                    has_squeezed = true;
                    self.squeeze = 2;
                    let half = estimate_all(&self.messages) / 2;
                    self.shrink(self.room().min(half)).await?;
                }
                _ => return Ok(answer),
            }
        }
    }

    fn request(&self) -> ModelRequest {
        let mut messages = self.messages.clone();
        messages.extend(self.note.as_deref().map(note));
        let most = u32::try_from(self.meter.tokens_left()).unwrap_or(u32::MAX).max(1);
        ModelRequest {
            model: self.model.name.clone(),
            system: self.system_prompt.clone(),
            messages,
            tools: if self.is_last { Vec::new() } else { self.specs.clone() },
            max_output_tokens: self.model.max_output_tokens.min(most),
        }
    }

    /// Compacts the conversation when it is longer than the model's window.
    async fn fit(&mut self) -> Result<(), Outcome> {
        let room = self.room();
        if estimate_all(&self.messages) <= room {
            return Ok(());
        }
        self.shrink(room * COMPACTED_PERCENT / 100).await
    }

    /// Makes the conversation at most so many tokens, and says so.
    async fn shrink(&mut self, max_tokens: u64) -> Result<(), Outcome> {
        let compacted = compact(std::mem::take(&mut self.messages), max_tokens);
        self.messages = compacted.messages;
        if compacted.shortened + compacted.dropped == 0 {
            return Ok(());
        }
        let message = format!(
            "The conversation was longer than the model's window: {} earlier messages were shortened, {} left out.",
            compacted.shortened, compacted.dropped
        );
        self.record(vec![record::notice(NoticeKind::HistoryCompacted, message)])
            .await
    }

    /// Tokens that the conversation may have.
    fn room(&self) -> u64 {
        let window = self
            .model
            .context_window
            .saturating_sub(u64::from(self.model.max_output_tokens));
        (window / self.squeeze).saturating_sub(self.fixed_tokens())
    }

    /// About how many tokens every request has besides the conversation.
    fn fixed_tokens(&self) -> u64 {
        let tools: usize = self
            .specs
            .iter()
            .map(|spec| spec.name.len() + spec.description.len() + spec.parameters.to_string().len())
            .sum();
        estimate_bytes(self.system_prompt.len() + tools + self.note.as_ref().map_or(0, String::len))
    }

    /// Records an answer and does what it asks for.
    async fn take(&mut self, mut answer: Answer) -> Result<Next, Outcome> {
        let usage = self.spend(&answer);
        if !matches!(answer.ended, Ended::Done(_) | Ended::Cut) {
            return Err(self.give_up(answer, usage).await?);
        }
        let calls = self.plan(&mut answer);
        if calls.is_empty() && answer.text.trim().is_empty() {
            return self.take_empty(&answer, usage).await;
        }
        self.was_empty = false;
        self.note = None;
        let requests: Vec<ToolRequest> = calls.iter().map(|call| call.request.clone()).collect();
        let mut events = vec![record::message(&answer, requests.clone(), false)];
        events.extend(usage);
        events.extend(
            calls
                .iter()
                .map(|call| record::tool_call(&call.request, &call.arguments)),
        );
        events.extend(remark(&answer, calls.is_empty()).map(|text| record::notice(NoticeKind::Other, text)));
        self.record(events).await?;
        self.messages.push(ChatMessage::Assistant {
            text: answer.text,
            tool_calls: requests,
        });
        if calls.is_empty() {
            return Ok(Next::Finish);
        }
        self.work(calls).await?;
        Ok(Next::AskAgain)
    }

    /// The calls of an answer, native ones or such in its text, with ids that are unique in the run.
    fn plan(&mut self, answer: &mut Answer) -> Vec<Planned> {
        if self.is_last || self.specs.is_empty() {
            return Vec::new();
        }
        let mut heard = std::mem::take(&mut answer.calls);
        if heard.is_empty() {
            let salvaged = salvage::calls(&answer.text, |name| self.bench.tools.find(name).is_some());
            heard = salvaged
                .into_iter()
                .map(|request| HeardCall { request, refusal: None })
                .collect();
        }
        for call in &mut heard {
            self.make_unique(&mut call.request.id);
        }
        heard.into_iter().map(|call| self.bench.plan(call)).collect()
    }

    fn make_unique(&mut self, id: &mut String) {
        let is_plain = !id.is_empty()
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if !is_plain || self.ids.contains(id) {
            let mut number = self.ids.len() + 1;
            while self.ids.contains(&format!("call_{number}")) {
                number += 1;
            }
            *id = format!("call_{number}");
        }
        self.ids.insert(id.clone());
    }

    /// Runs calls and adds their results to the conversation.
    async fn work(&mut self, calls: Vec<Planned>) -> Result<(), Outcome> {
        let worked = self.bench.run(calls, &mut self.failures).await?;
        self.messages.extend(worked.messages);
        match worked.end {
            None => Ok(()),
            Some(WorkEnd::ToolsEnded(why)) => {
                self.end_tools(&why);
                Ok(())
            }
            Some(WorkEnd::Fatal(error)) => Err(failed(error.code().as_str(), error.message())),
            Some(WorkEnd::Stopped) => Err(Outcome::Stopped),
            Some(WorkEnd::TimedOut) => Err(self.time_is_up(Vec::new()).await?),
        }
    }

    /// Counts what an answer used; nothing when it never began. A provider's silence or nonsense is replaced by an estimate.
    fn spend(&mut self, answer: &Answer) -> Option<Recorded> {
        let is_whole = matches!(answer.ended, Ended::Done(_) | Ended::Cut);
        let told = plausible(answer.usage, &self.model);
        if told.is_none() && !is_whole && !answer.has_begun() {
            return None;
        }
        let usage = told.unwrap_or_else(|| TokenUsage {
            input: self.fixed_tokens().saturating_add(estimate_all(&self.messages)),
            output: estimate_bytes(answer.bytes()),
            cached_input: 0,
        });
        self.meter.spend(usage);
        Some(record::usage(&self.model.name, usage, told.is_none()))
    }

    /// An answer without text and calls: the model is asked once more.
    async fn take_empty(&mut self, answer: &Answer, usage: Option<Recorded>) -> Result<Next, Outcome> {
        self.record(usage.into_iter().collect()).await?;
        if matches!(answer.ended, Ended::Done(EndReason::Refused)) {
            return Err(failed(MODEL_REFUSED, "the model provider refused to answer"));
        }
        if self.was_empty {
            return Err(failed(
                MODEL_EMPTY_ANSWER,
                "the model said nothing and called nothing, twice",
            ));
        }
        self.was_empty = true;
        let before = self.note.take().unwrap_or_default();
        self.note = Some(
            format!("{before} Your last answer was empty. Answer in words, or call a tool.")
                .trim()
                .to_owned(),
        );
        Ok(Next::AskAgain)
    }

    /// Keeps what has come of an answer that did not end by itself, and says how the run ends.
    async fn give_up(&mut self, answer: Answer, usage: Option<Recorded>) -> Result<Outcome, Outcome> {
        let mut events = Vec::new();
        if !answer.text.is_empty() {
            events.push(record::message(&answer, Vec::new(), true));
        }
        events.extend(usage);
        match &answer.ended {
            Ended::TimedOut => return self.time_is_up(events).await,
            Ended::Stopped | Ended::Broken(_) | Ended::Done(_) | Ended::Cut => self.record(events).await?,
        }
        let Ended::Broken(error) = &answer.ended else {
            return Ok(Outcome::Stopped);
        };
        let code = match error {
            _ if answer.has_begun() => MODEL_STREAM_BROKEN,
            LlmError::Credentials(_) => MODEL_CREDENTIALS_REFUSED,
            LlmError::Refused(_) => MODEL_REFUSED,
            LlmError::TooLong(_) => MODEL_CONTEXT_EXCEEDED,
            LlmError::Unavailable(_) => MODEL_UNAVAILABLE,
            LlmError::Broken(_) => MODEL_STREAM_BROKEN,
        };
        Ok(failed(code, &error.to_string()))
    }

    async fn time_is_up(&self, mut events: Vec<Recorded>) -> Result<Outcome, Outcome> {
        events.push(record::notice(NoticeKind::BudgetExhausted, "The run's time is up."));
        self.record(events).await?;
        Ok(failed(RUN_TIMEOUT, "the run took longer than it may"))
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
        message: message.to_owned(),
    }
}

/// What the reader of an answer should know about its end.
fn remark(answer: &Answer, is_final: bool) -> Option<String> {
    if answer.left_out > 0 {
        return Some(format!(
            "The model called {} more tools at once than are answered; they were left out.",
            answer.left_out
        ));
    }
    match answer.ended {
        Ended::Done(EndReason::Length) if is_final => Some("The answer reached the model's length limit.".to_owned()),
        Ended::Done(EndReason::Refused) if is_final => Some("The model provider refused to say more.".to_owned()),
        Ended::Cut => Some("The answer was longer than is kept and was cut.".to_owned()),
        _ => None,
    }
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
