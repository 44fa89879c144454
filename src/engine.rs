//! The engine: history in, events out, a cancel token, a budget.
//!
//! `worker` calls [`run`] with a [`Job`] and a [`Sink`]. The engine asks the model, runs the tools that it calls, and repeats
//! until the model has nothing more to call or a budget is used up. It knows no account, table or wire. Its invariant: a
//! tool starts only after its call is recorded, and a recorded call gets exactly one recorded result, from this worker or
//! from the one that takes the run up again.

pub mod answer;
mod budget;
pub mod calls;
pub mod compact;
pub mod history;
pub mod prompt;
mod record;
pub mod salvage;
mod turn;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    llm::{ChatMessage, ToolRequest},
    sandbox::Workplace,
    tools::Toolbox,
    v1::run_event::Event,
};

pub use turn::run;

/// The provider refused our credentials.
pub const MODEL_CREDENTIALS_REFUSED: &str = "MODEL_CREDENTIALS_REFUSED";
/// The provider refused the request, or to say anything.
pub const MODEL_REFUSED: &str = "MODEL_REFUSED";
/// The provider could not be reached or kept failing before the first token.
pub const MODEL_UNAVAILABLE: &str = "MODEL_UNAVAILABLE";
/// The model's answer broke off; the text received so far is kept and marked partial.
pub const MODEL_STREAM_BROKEN: &str = "MODEL_STREAM_BROKEN";
/// The conversation does not fit the model's context window, even after it was shortened.
pub const MODEL_CONTEXT_EXCEEDED: &str = "MODEL_CONTEXT_EXCEEDED";
/// The model returned an empty answer twice in a row.
pub const MODEL_EMPTY_ANSWER: &str = "MODEL_EMPTY_ANSWER";
/// The run exceeded its time limit.
pub const RUN_TIMEOUT: &str = "RUN_TIMEOUT";
/// The run exceeded its token budget.
pub const TOKEN_BUDGET_EXHAUSTED: &str = "TOKEN_BUDGET_EXHAUSTED";

/// Every code that the engine itself gives a failed run, with its sentence for the documentation.
pub const CODES: &[(&str, &str)] = &[
    (
        MODEL_CREDENTIALS_REFUSED,
        "The model provider refused the server's credentials.",
    ),
    (
        MODEL_REFUSED,
        "The model provider refused the request, or refused to answer.",
    ),
    (
        MODEL_UNAVAILABLE,
        "The model provider could not be reached or kept failing before the first token.",
    ),
    (
        MODEL_STREAM_BROKEN,
        "The model's answer broke off; the text received so far is kept and marked partial.",
    ),
    (
        MODEL_CONTEXT_EXCEEDED,
        "The conversation does not fit the model's context window, even after it was shortened.",
    ),
    (MODEL_EMPTY_ANSWER, "The model returned an empty answer twice in a row."),
    (RUN_TIMEOUT, "The run exceeded its time limit."),
    (TOKEN_BUDGET_EXHAUSTED, "The run exceeded its token budget."),
];

/// Everything that one run works with.
pub struct Job {
    /// The run; what is logged on its behalf names it.
    pub run_id: Uuid,
    /// The model and its limits.
    pub model: ModelLimits,
    /// The whole system prompt, as [`prompt::Prompt`] makes it.
    pub system_prompt: String,
    /// The thread so far, oldest first, the run's own earlier steps included.
    pub history: Vec<ChatMessage>,
    /// The tools that the model may call.
    pub tools: Arc<Toolbox>,
    /// Where the tools run; made when the first of them does.
    pub workplace: Arc<dyn Workplace>,
    /// What the run may use.
    pub budget: Budget,
    /// Calls in the history's last assistant message whose outcome is unknown, because the worker before went away.
    pub interrupted: Vec<ToolRequest>,
    /// Model calls that the run has behind it; not zero when the run is taken up again.
    pub steps_done: u32,
    /// Tokens that these calls used, in and out together.
    pub tokens_used: u64,
}

/// A model as the engine needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelLimits {
    /// The public name; it goes into requests and usage events.
    pub name: String,
    /// Tokens that the model sees at once, its answer included.
    pub context_window: u64,
    /// Tokens that one answer may have.
    pub max_output_tokens: u32,
}

/// What a run may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Model calls that may use tools; one more call without tools sums up when they are used up.
    pub max_steps: u32,
    /// How long the run may go on from now.
    pub max_duration: Duration,
    /// Tokens in and out together, of all model calls; looked at before each, so one prompt can pass it.
    pub max_tokens: u64,
    /// Read-only tool calls that may run at the same time.
    pub max_parallel_calls: usize,
}

/// Takes what happens. The worker implements it over the journal.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Takes a piece of text or tool output; must not block and may merge neighbours.
    fn say(&self, event: Event);

    /// Takes events, and messages of the thread with them, in one transaction; returns after its commit. Everything that
    /// was said before comes before them.
    ///
    /// # Errors
    /// The journal refuses, such as when the lease is lost; the engine then does nothing more and gives
    /// [`Outcome::Abandoned`].
    async fn record(&self, events: Vec<Recorded>) -> Result<()>;

    /// Takes what [`Sink::record`] takes, in the same order with it, without waiting for its commit: it is durable with the
    /// next record, or with the run's end, which the caller records. For the last answer of a run, which nothing follows.
    fn leave(&self, events: Vec<Recorded>);

    /// Asks whether the model may be called with a prompt of about so many tokens; returns the tokens that its answer may
    /// have, which are at most those asked for.
    ///
    /// # Errors
    /// INSUFFICIENT_CREDITS ends the run as failed; everything else as with [`Sink::record`].
    async fn reserve(&self, input_tokens: u64, max_output_tokens: u32) -> Result<u32>;
}

/// An event to be recorded, with the message of the thread that it stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The event. A usage event's `credits` are zero: the implementor knows the prices.
    pub event: Event,
    /// The message to be stored in the same transaction.
    pub message: Option<StoredMessage>,
}

/// A message of the thread, as the engine wants it stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMessage {
    /// The message's id; events name it.
    pub message_id: Uuid,
    /// The message: [`ChatMessage::Assistant`] or [`ChatMessage::Tool`].
    pub message: ChatMessage,
    /// Whether the model's stream broke, or was stopped, before the end.
    pub partial: bool,
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// The model had nothing more to do.
    Completed,
    /// An error ended it.
    Failed {
        /// One of [`CODES`], or the code of a tool's fatal error.
        code: String,
        /// A sentence for people.
        message: String,
    },
    /// The cancel token did.
    Stopped,
    /// The sink refused to record; nothing more may be written about this run by this worker.
    Abandoned(Error),
}
