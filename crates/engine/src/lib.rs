//! The engine executes a run. Its input is a history, a budget and a cancel token; its output is a sequence of events.
//!
//! The service calls [`run`] with a [`Job`] and a [`Sink`]. The engine calls the model, runs the tools that the model
//! calls, and repeats until the model calls no more tools or a budget is used up. It knows nothing about accounts,
//! database tables or protocols. It uses a model only through [`llm::Llm`], and a sandbox only through
//! [`runyard_sandbox::Sandbox`]. Its invariant: a tool starts only after its call is recorded, and a recorded call gets
//! exactly one recorded result, from this worker or from the worker that resumes the run.

#![warn(missing_docs)]

pub mod answer;
mod budget;
pub mod calls;
mod clock;
pub mod compact;
pub mod config;
mod error;
pub mod history;
mod id;
pub mod llm;
pub mod prompt;
mod record;
pub mod salvage;
pub mod tools;
mod turn;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use runyard_contract::v1::run_event::Event;
use runyard_sandbox::Sandbox;
use uuid::Uuid;

pub use config::Config;
pub use error::{Error, Result};
use llm::{ChatMessage, ReasoningEffort, ToolRequest};
use tools::Toolbox;
pub use turn::run;

/// A sandbox that may be created on first use.
#[async_trait]
pub trait SandboxSource: Send + Sync {
    /// Returns the sandbox; the first call creates it.
    ///
    /// # Errors
    /// Any error. The error ends the run, and a client sees its code and its message.
    async fn open(&self) -> Result<Arc<dyn Sandbox>>;
}

#[async_trait]
impl<S: Sandbox + Clone + 'static> SandboxSource for S {
    async fn open(&self) -> Result<Arc<dyn Sandbox>> {
        Ok(Arc::new(self.clone()))
    }
}

/// The provider refused the server's credentials.
pub const MODEL_CREDENTIALS_REFUSED: &str = "MODEL_CREDENTIALS_REFUSED";
/// The provider refused the request, or refused to answer.
pub const MODEL_REFUSED: &str = "MODEL_REFUSED";
/// The provider or its moderation blocked the prompt.
pub const MODEL_PROMPT_BLOCKED: &str = "MODEL_PROMPT_BLOCKED";
/// The server's account at the provider has no credit or quota left.
pub const MODEL_QUOTA_EXHAUSTED: &str = "MODEL_QUOTA_EXHAUSTED";
/// The provider does not know the configured model.
pub const MODEL_UNKNOWN: &str = "MODEL_UNKNOWN";
/// The provider could not be reached or kept failing before the first token.
pub const MODEL_UNAVAILABLE: &str = "MODEL_UNAVAILABLE";
/// The model's answer broke off, and every repeated call broke off too. The text received so far is kept and marked
/// partial.
pub const MODEL_STREAM_BROKEN: &str = "MODEL_STREAM_BROKEN";
/// The conversation does not fit the model's context window, even after it was shortened.
pub const MODEL_CONTEXT_EXCEEDED: &str = "MODEL_CONTEXT_EXCEEDED";
/// The model returned an empty answer twice in a row, or used all tokens of its answers for reasoning.
pub const MODEL_EMPTY_ANSWER: &str = "MODEL_EMPTY_ANSWER";
/// The run exceeded its time limit.
pub const RUN_TIMEOUT: &str = "RUN_TIMEOUT";
/// The run exceeded its token budget.
pub const TOKEN_BUDGET_EXHAUSTED: &str = "TOKEN_BUDGET_EXHAUSTED";

/// All codes that the engine itself gives to a failed run, each with its sentence for the documentation.
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
        MODEL_PROMPT_BLOCKED,
        "The model provider or its moderation blocked the prompt. The message contains the reason that the provider gives.",
    ),
    (
        MODEL_QUOTA_EXHAUSTED,
        "The server's account at the model provider has no credit or quota left.",
    ),
    (
        MODEL_UNKNOWN,
        "The model provider does not know the configured model. The message lists the provider's models if the provider reports them.",
    ),
    (
        MODEL_UNAVAILABLE,
        "The model provider could not be reached or kept failing before the first token.",
    ),
    (
        MODEL_STREAM_BROKEN,
        "The model's answer broke off, and every repeated call broke off too. The text received so far is kept and marked partial.",
    ),
    (
        MODEL_CONTEXT_EXCEEDED,
        "The conversation does not fit the model's context window, even after it was shortened.",
    ),
    (
        MODEL_EMPTY_ANSWER,
        "The model returned an empty answer twice in a row, or used all tokens of its answers for reasoning.",
    ),
    (RUN_TIMEOUT, "The run exceeded its time limit."),
    (TOKEN_BUDGET_EXHAUSTED, "The run exceeded its token budget."),
];

/// Input of one run.
pub struct Job {
    /// Id of the run, used in log lines.
    pub run_id: Uuid,
    /// The model and its limits.
    pub model: ModelLimits,
    /// The complete system prompt, as [`prompt::Prompt`] assembles it.
    pub system_prompt: String,
    /// Reasoning effort of the model; `None` for the model's default.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// The thread so far, oldest message first, including the run's own earlier steps. Answers of this run that broke
    /// off are not part of it.
    pub history: Vec<ChatMessage>,
    /// Tools that the model may call.
    pub tools: Arc<Toolbox>,
    /// Source of the sandbox in which the tools run. The first tool call creates the sandbox.
    pub workplace: Arc<dyn SandboxSource>,
    /// Limits of the run.
    pub budget: Budget,
    /// Calls of the history's last assistant message that the previous worker did not finish. Their outcome is unknown.
    pub interrupted: Vec<ToolRequest>,
    /// Number of model calls that earlier workers made for this run; zero if the run is new.
    pub steps_done: u32,
    /// Number of tokens that the `steps_done` model calls used, input plus output.
    pub tokens_used: u64,
}

/// Name and limits of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelLimits {
    /// Public name of the model; used in requests and usage events.
    pub name: String,
    /// Size of the context window in tokens. The prompt and the answer together must fit into it.
    pub context_window: u64,
    /// Maximum number of tokens of one answer.
    pub max_output_tokens: u32,
}

/// Limits of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Maximum number of model calls with tools. After these calls, one more call without tools requests a summary.
    pub max_steps: u32,
    /// Maximum duration of the run, counted from the start of this job.
    pub max_duration: Duration,
    /// Maximum number of tokens, input plus output, of all model calls. The limit is checked before each call, so one
    /// call can exceed it.
    pub max_tokens: u64,
    /// Maximum number of read-only tool calls in parallel.
    pub max_parallel_calls: usize,
}

/// Receives the events of a run. The service implements it on top of its event journal.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Receives a chunk of text, reasoning or tool output, or a notice about a delay or retry of the model call. The
    /// implementation must not block, but may merge adjacent chunks.
    fn say(&self, event: Event);

    /// Records events and their thread messages in one transaction. Returns after the commit. All chunks that were
    /// passed to `say` earlier are ordered before these events.
    ///
    /// # Errors
    /// The sink's error when it refuses the events, for example because the lease was lost. The engine then stops at
    /// once and returns [`Outcome::Abandoned`].
    async fn record(&self, events: Vec<Recorded>) -> Result<()>;

    /// Records events in the same order as [`Sink::record`], but does not wait for the commit. The events become
    /// durable with the next call of `record`, or when the caller records the end of the run. The engine uses this
    /// function for the last answer of a run.
    fn leave(&self, events: Vec<Recorded>);

    /// Reserves credits to call the model with a prompt of about `input_tokens`. Returns the maximum number of tokens
    /// of the answer, which may be less than `max_output_tokens`.
    ///
    /// # Errors
    /// INSUFFICIENT_CREDITS fails the run. After any other error, the engine stops as after an error of
    /// [`Sink::record`].
    async fn reserve(&self, input_tokens: u64, max_output_tokens: u32) -> Result<u32>;
}

/// An event to record, and the thread message to store with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The event. In a usage event, `credits` is zero: the implementation of [`Sink`] knows the prices and computes the
    /// credits.
    pub event: Event,
    /// Message to store in the same transaction; `None` if the event has no message.
    pub message: Option<StoredMessage>,
}

/// A message to store in the thread.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMessage {
    /// Id of the message; events refer to it.
    pub message_id: Uuid,
    /// The message: [`ChatMessage::Assistant`] or [`ChatMessage::Tool`].
    pub message: ChatMessage,
    /// True if the stream of the answer broke off or was stopped before its end.
    pub partial: bool,
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// The model had nothing more to do.
    Completed,
    /// The run failed with an error.
    Failed {
        /// One of [`CODES`], `INSUFFICIENT_CREDITS`, or the code of a tool's fatal error.
        code: String,
        /// Error text for people.
        message: String,
    },
    /// The cancel token stopped the run.
    Stopped,
    /// The sink failed to record events or to reserve credits. This worker must not write anything more about the run.
    Abandoned(Error),
}
