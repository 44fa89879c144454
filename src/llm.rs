//! The first seam of the engine: a model provider.
//!
//! The engine speaks to `Llm` alone. `llm/upstream.rs` reaches real providers through genai, `llm/demo.rs` is the built-in
//! model, `llm/models.rs` knows which of them serves a public name. A call is cancelled by dropping its stream.

pub mod demo;
pub mod models;
pub mod upstream;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;

pub use demo::Demo;
pub use models::Models;
pub use upstream::{Retries, Timeouts, Upstream};

/// Everything that one call of a model gets.
#[derive(Clone, Debug)]
pub struct ModelRequest {
    /// The public name of the model.
    pub model: String,
    /// The system prompt.
    pub system: String,
    /// The conversation so far, oldest first.
    pub messages: Vec<ChatMessage>,
    /// The tools that may be called; none ends tool use.
    pub tools: Vec<ToolSpec>,
    /// Tokens that the answer may have.
    pub max_output_tokens: u32,
}

/// One message of the conversation.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatMessage {
    /// What the user said.
    User {
        /// The text.
        text: String,
    },
    /// What the model said.
    Assistant {
        /// The text.
        text: String,
        /// The tools that it called.
        tool_calls: Vec<ToolRequest>,
    },
    /// What a tool answered.
    Tool {
        /// The call that it answers.
        tool_call_id: String,
        /// The tool's name.
        name: String,
        /// The answer.
        text: String,
        /// Whether the tool failed.
        is_error: bool,
    },
}

/// A tool call as the model made it; the arguments may be anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolRequest {
    /// The call's id; unique within the run after the engine has seen it.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments, as the text that the model gave.
    pub arguments: String,
}

/// A tool as the model is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    /// The name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// The JSON schema of the arguments.
    pub parameters: Value,
}

/// One piece of a model's answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelEvent {
    /// The provider failed before the first token and is asked again.
    Retried {
        /// A sentence for people.
        message: String,
    },
    /// A piece of text.
    Text(String),
    /// A piece of reasoning.
    Reasoning(String),
    /// A whole tool call.
    ToolCall(ToolRequest),
    /// What the call used; absent when the provider says nothing.
    Usage(TokenUsage),
    /// The answer ended; always the last event of an unbroken stream.
    End(EndReason),
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The model had nothing more to say, or called tools.
    Done,
    /// The answer reached its length limit.
    Length,
    /// The provider refused to say more.
    Refused,
}

/// Tokens that one call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenUsage {
    /// Tokens of the prompt.
    pub input: u64,
    /// Tokens of the answer.
    pub output: u64,
    /// Tokens of the prompt that came from the provider's cache.
    pub cached_input: u64,
}

/// Why a model could not answer; the run fails with it, unless text has already arrived.
#[derive(Debug, thiserror::Error)]
pub enum LlmError {
    /// The provider refuses our key (401, 403); no retry helps.
    #[error("the model provider refused the credentials: {0}")]
    Credentials(String),
    /// The provider refuses the request (400, 404, 413 …); no retry helps.
    #[error("the model provider refused the request: {0}")]
    Refused(String),
    /// The provider says that the conversation is longer than its window.
    #[error("the conversation does not fit the model's context window: {0}")]
    TooLong(String),
    /// The provider could not be reached, answered garbage or kept failing; retries are used up.
    #[error("the model provider is unavailable: {0}")]
    Unavailable(String),
    /// The stream broke after the first token.
    #[error("the model's answer broke off: {0}")]
    Broken(String),
}

impl LlmError {
    /// What kind of failure it is: for logs, where the provider's words have no place.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Credentials(_) => "credentials",
            Self::Refused(_) => "refused",
            Self::TooLong(_) => "too long",
            Self::Unavailable(_) => "unavailable",
            Self::Broken(_) => "broken",
        }
    }
}

/// A stream of one answer.
pub type ModelStream = BoxStream<'static, Result<ModelEvent, LlmError>>;

/// A provider of models.
#[async_trait]
pub trait Llm: Send + Sync {
    /// Asks for one answer. Retries before the first token are inside and visible as [`ModelEvent::Retried`]; so the
    /// stream starts at once, and a failure is its last item.
    async fn stream(&self, request: ModelRequest) -> ModelStream;
}
