//! The agent loop: executes one run and reports its events.
//!
//! The service calls [`run`] with a [`Job`] and a [`Sink`]. The engine calls the model and runs the requested tools,
//! in turn. The run ends when the model requests no tools or a budget is used up. [`llm::Llm`] provides the models,
//! and [`runyard_sandbox::Sandbox`] the sandboxes. The engine knows no accounts, database tables or API protocols.
//!
//! Invariant: a tool starts only after its call is recorded, and each recorded call gets exactly one recorded result.
//! If the worker stops before it records a result, the run's next worker records one.

#![warn(missing_docs)]

pub mod answer;
mod budget;
pub mod calls;
mod clock;
pub mod compact;
pub mod config;
pub mod documents;
mod error;
pub mod history;
mod id;
pub mod images;
pub mod inputs;
pub mod llm;
pub mod output;
pub mod prompt;
mod record;
pub mod salvage;
pub mod schema;
pub mod tools;
mod turn;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use runyard_contract::v1::run_event::Event;
use runyard_sandbox::Sandbox;
use serde_json::Value;
use uuid::Uuid;

pub use config::Config;
pub use error::{Error, Result};
use inputs::{CallAnswer, WaitingCall};
use llm::{ChatMessage, ReasoningEffort, ToolRequest};
use output::OutputForm;
use tools::Toolbox;
pub use turn::run;

/// Opens a run's sandbox. A run whose tools do not use the sandbox needs none.
#[async_trait]
pub trait SandboxSource: Send + Sync {
    /// Returns the sandbox, and creates it if necessary. Called by each tool call that uses the sandbox.
    ///
    /// # Errors
    /// Fails if the sandbox cannot be created. The error ends the run, and clients receive its code and message.
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
/// The provider does not offer the configured model.
pub const MODEL_UNKNOWN: &str = "MODEL_UNKNOWN";
/// The provider was unreachable, or every attempt failed before the first token.
pub const MODEL_UNAVAILABLE: &str = "MODEL_UNAVAILABLE";
/// The answer broke off, and so did every retry. The received text is kept and marked partial.
pub const MODEL_STREAM_BROKEN: &str = "MODEL_STREAM_BROKEN";
/// The conversation exceeds the model's context window, even after shortening.
pub const MODEL_CONTEXT_EXCEEDED: &str = "MODEL_CONTEXT_EXCEEDED";
/// The model returned two empty answers in a row, or spent all output tokens on reasoning.
pub const MODEL_EMPTY_ANSWER: &str = "MODEL_EMPTY_ANSWER";
/// The run exceeded [`Budget::max_duration`].
pub const RUN_TIMEOUT: &str = "RUN_TIMEOUT";
/// The run used [`Budget::max_tokens`] tokens or more and needed another model call.
pub const TOKEN_BUDGET_EXHAUSTED: &str = "TOKEN_BUDGET_EXHAUSTED";
/// The final answer does not match the output schema of the request, even after it was repaired.
pub const INVALID_OUTPUT: &str = "INVALID_OUTPUT";

/// An input of the run expired, and the agent's settings say that the run then fails. The service sets this
/// code.
pub const INPUT_EXPIRED: &str = "INPUT_EXPIRED";

/// Error codes of failed runs that are not error codes of the API, each with its description for the documentation.
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
    (
        INVALID_OUTPUT,
        "The model's final answer does not match the output schema of the request, and neither do two repaired answers. The message contains the schema errors.",
    ),
    (
        INPUT_EXPIRED,
        "No answer to an input arrived in time, and the agent's settings say that the run then fails.",
    ),
];

/// Input of [`run`].
pub struct Job {
    /// Id of the run, used in log lines.
    pub run_id: Uuid,
    /// Public name of the model, and its token limits.
    pub model: ModelLimits,
    /// The complete system prompt, assembled by [`prompt::Prompt`].
    pub system_prompt: String,
    /// Reasoning effort of the model; by default, the configured effort or else the provider's default.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Messages of the thread, oldest first. Includes earlier steps of this run, but not its incomplete answers.
    pub history: Vec<ChatMessage>,
    /// Position in `history` of the first message of this run.
    pub own_history: usize,
    /// Tools that the model may call; empty in the mode "chat".
    pub tools: Arc<Toolbox>,
    /// Provides the sandbox in which the tools run.
    pub workplace: Arc<dyn SandboxSource>,
    /// Limits on steps, time, tokens and parallel tool calls.
    pub budget: Budget,
    /// Tool calls of the last assistant message. The previous worker stopped before it finished these calls.
    pub interrupted: Vec<ToolRequest>,
    /// Answers to the inputs that calls in `interrupted` needed.
    pub answers: Vec<CallAnswer>,
    /// Number of model calls that earlier workers made for this run; 0 for a new run.
    pub steps_done: u32,
    /// Tokens used by the model calls in `steps_done`.
    pub tokens_used: u64,
    /// Required form of the final answer; `None` for free text.
    pub output: Option<OutputForm>,
}

/// Name and limits of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelLimits {
    /// Public name of the model; used in requests and usage events.
    pub name: String,
    /// Size of the context window in tokens, which prompt and answer share.
    pub context_window: u64,
    /// Maximum number of tokens of one answer.
    pub max_output_tokens: u32,
}

/// Limits of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Maximum number of model calls with tools. A final call without tools then requests a summary.
    pub max_steps: u32,
    /// Maximum duration of the run, measured from the call of [`run`].
    pub max_duration: Duration,
    /// Maximum input and output tokens of all model calls. The limit is checked before each call, so the last call
    /// can exceed the limit.
    pub max_tokens: u64,
    /// Maximum number of read-only tool calls that run in parallel.
    pub max_parallel_calls: usize,
    /// Maximum number of model calls that the request allows. The run then ends with [`Outcome::BudgetSpent`].
    pub own_steps: Option<u32>,
    /// True if the request set `max_duration`. The run then ends with [`Outcome::BudgetSpent`], and does not fail.
    pub is_own_time: bool,
}

/// Receives and stores the events of a run.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Receives a chunk of text, reasoning or tool output, or a notice about a retry. Must not block. May merge
    /// adjacent chunks.
    fn say(&self, event: Event);

    /// Records events and their messages in one transaction, and returns after the commit. All events that
    /// [`Sink::say`] received earlier are recorded first.
    ///
    /// # Errors
    /// The events cannot be recorded, for example because the worker lost its lease on the run. The engine then
    /// returns [`Outcome::Abandoned`].
    async fn record(&self, events: Vec<Recorded>) -> Result<()>;

    /// Queues events and returns before the commit; used for the final answer. The next `record` or the end of the
    /// run commits the events. `leave` and `record` keep the order of events.
    fn leave(&self, events: Vec<Recorded>);

    /// Reports how long an executed tool call took, for metrics. Must not block. Calls that are refused or wait for an
    /// input are not reported.
    fn tool_ended(&self, _name: &str, _outcome: ToolOutcome, _took: Duration) {}

    /// Records that the run continues with the answers in [`Job::answers`], and returns after the commit. If this worker
    /// stops later, the next worker knows that an approved call may have started.
    ///
    /// # Errors
    /// As for [`Sink::record`].
    async fn consume_answers(&self) -> Result<()>;

    /// Returns the messages that were added to the run since the last call, oldest first. The engine records an event
    /// [`Event::UserMessage`] for each.
    ///
    /// # Errors
    /// As for [`Sink::record`].
    async fn added(&self) -> Result<Vec<AddedMessage>>;

    /// Reserves credits for a model call with about `input_tokens` input tokens. Returns the allowed output tokens,
    /// up to `max_output_tokens`, or `None` if the budget of the request does not cover the call.
    ///
    /// # Errors
    /// `INSUFFICIENT_CREDITS` fails the run. After any other error, the engine returns [`Outcome::Abandoned`].
    async fn reserve(&self, input_tokens: u64, max_output_tokens: u32) -> Result<Option<u32>>;
}

/// The outcome of an executed tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolOutcome {
    /// The tool succeeded.
    Ok,
    /// The model receives an error.
    Error,
    /// An error ends the run.
    Fatal,
}

impl ToolOutcome {
    /// Returns the name of the outcome in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}

/// A message that a person or a program has added to the running run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedMessage {
    /// Id of the stored message.
    pub message_id: Uuid,
    /// Text of the message.
    pub text: String,
}

/// An event to record, and the thread message to store with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The event. The [`Sink`] sets `credits` in usage events, because only the service knows prices.
    pub event: Event,
    /// Message to store in the same transaction.
    pub message: Option<StoredMessage>,
}

/// A message to store in the thread.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMessage {
    /// Id of the message, which the events of an answer contain.
    pub message_id: Uuid,
    /// The message: [`ChatMessage::Assistant`] or [`ChatMessage::Tool`].
    pub message: ChatMessage,
    /// True if the answer is incomplete: the stream failed, or the run was cancelled or timed out.
    pub partial: bool,
}

/// The end of a run. The caller records the run's final state, except after `Abandoned`.
#[derive(Debug)]
pub enum Outcome {
    /// The model gave its final answer.
    Completed {
        /// The object of the final answer, which matches the schema of [`Job::output`]; `None` for free text.
        output: Option<Value>,
        /// True if the budget allows further model calls, for messages that were added in the meantime.
        may_continue: bool,
    },
    /// The run failed. Clients receive the code and the message.
    Failed {
        /// One of [`CODES`], `INSUFFICIENT_CREDITS`, or the code of a tool's fatal error.
        code: String,
        /// Error text for the user.
        message: String,
    },
    /// Tool calls need inputs. The caller stores the requests, and calls [`run`] again when all are answered.
    Waiting(Vec<WaitingCall>),
    /// The run has used up the budget of its request: [`Budget::own_steps`], its time, or its credits.
    BudgetSpent,
    /// The caller of [`run`] cancelled the token.
    Stopped,
    /// The sink failed. This worker must not write anything more about the run.
    Abandoned(Error),
}
