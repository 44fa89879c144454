//! The interface to model providers.
//!
//! The engine calls models only through the trait [`Llm`]. `llm/upstream.rs` implements the trait over HTTP, and
//! `llm/demo.rs` for the built-in demo model. `llm/models.rs` selects the implementation by model name. Dropping the
//! stream of a call cancels the call.

pub mod demo;
pub mod models;
pub mod upstream;

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;

use crate::{
    config::{StructuredOutput, Vision, VisionSettings},
    images::Image,
};
pub use demo::Demo;
pub use models::Models;
pub use upstream::{Retries, Timeouts, Upstream};

/// A request to a model, independent of the provider's protocol.
#[derive(Clone, Debug)]
pub struct ModelRequest {
    /// Name of the model: its public name or, in requests to a provider, its name at the provider.
    pub model: String,
    /// The system prompt; may be empty.
    pub system: String,
    /// The conversation, oldest message first.
    pub messages: Vec<ChatMessage>,
    /// Tools that the model may call.
    pub tools: Vec<ToolSpec>,
    /// JSON schema of the answer's text, for a provider that supports it; `None` for free text.
    pub output: Option<Arc<Value>>,
    /// Maximum tokens of the answer.
    pub max_output_tokens: u32,
    /// Reasoning effort of the model; by default, the configured effort or else the provider's default.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Fields added to the request body. They override the fields of the protocol and of the provider's
    /// configuration.
    pub extra_body: serde_json::Map<String, Value>,
    /// Vision of the model. It overrides the provider's capabilities.
    pub vision: VisionSettings,
}

/// The amount of reasoning before an answer.
#[derive(Clone, Copy, Debug, serde::Deserialize, serde::Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ReasoningEffort {
    /// No reasoning.
    None,
    /// The least reasoning that the model supports.
    Minimal,
    /// A small amount of reasoning.
    Low,
    /// A moderate amount of reasoning.
    Medium,
    /// A large amount of reasoning.
    High,
}

impl ReasoningEffort {
    /// All efforts, in ascending order.
    pub const ALL: [Self; 5] = [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High];

    /// Returns the name of the effort in requests and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// Returns the effort with this lower-case name; `None` if the name is unknown.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.as_str() == name)
    }
}

/// Provider data: reasoning, signatures and call ids that a provider attached to an answer. Later requests send this
/// data back with the answer.
///
/// Only the same provider and model family receive the data. The engine does not interpret it.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize, PartialEq)]
pub struct Carried {
    /// Name of the provider in the configuration.
    pub provider: String,
    /// Family of the provider's model, such as `gemini-3`.
    pub family: String,
    /// The data, in the protocol's format.
    pub value: Value,
}

/// A message of the conversation, which does not include the system prompt.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatMessage {
    /// A message from the user, or a note from the engine (`history.rs`).
    User {
        /// Text of the message. A note starts with `history::NOTE`.
        text: String,
        /// Images of the message, in the order in which the text names them.
        images: Vec<Image>,
    },
    /// A message from the model.
    Assistant {
        /// Text of the message; may be empty if the model called tools.
        text: String,
        /// Tools that the model called.
        tool_calls: Vec<ToolRequest>,
        /// Provider data to send back with this message.
        carried: Option<Carried>,
    },
    /// The result of a tool call.
    Tool {
        /// [`ToolRequest::id`] of the call.
        tool_call_id: String,
        /// Name of the called tool, which some protocols require.
        name: String,
        /// Text of the result.
        text: String,
        /// Images of the result.
        images: Vec<Image>,
        /// True if the call failed.
        is_error: bool,
    },
}

impl ChatMessage {
    /// Returns a message from the user without images.
    pub fn user(text: impl Into<String>) -> Self {
        Self::User {
            text: text.into(),
            images: Vec::new(),
        }
    }

    /// Returns the images of the message.
    pub fn images(&self) -> &[Image] {
        match self {
            Self::User { images, .. } | Self::Tool { images, .. } => images,
            Self::Assistant { .. } => &[],
        }
    }
}

/// A tool call as the model sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolRequest {
    /// Id of the call, unique within the run.
    pub id: String,
    /// Name of the tool, which may not exist.
    pub name: String,
    /// Arguments, which may be invalid JSON.
    pub arguments: String,
}

/// Description of a tool for the model.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    /// Name of the tool, unique among the tools of a request.
    pub name: String,
    /// Tells the model what the tool does.
    pub description: String,
    /// JSON schema of the arguments.
    pub parameters: Value,
}

/// One event of a model's answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelEvent {
    /// An attempt failed before the first token, and another attempt will follow.
    Retried {
        /// Tells the user about the failure and the next attempt.
        message: String,
    },
    /// A chunk of the answer's text.
    Text(String),
    /// A chunk of reasoning.
    Reasoning(String),
    /// A complete tool call.
    ToolCall(ToolRequest),
    /// Token usage of the call. Missing if the provider reports no usage.
    Usage(TokenUsage),
    /// Provider data of the answer. Up to one such event, before `End`.
    Carried(Carried),
    /// End of the answer; the last event of a complete stream.
    End(EndReason),
}

/// Reason why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The model completed the answer or called tools.
    Done,
    /// The answer reached its length limit.
    Length,
    /// The provider refused to start or to continue the answer.
    Refused,
}

/// Number of tokens that one call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenUsage {
    /// Tokens of the prompt, including `cached_input`.
    pub input: u64,
    /// Tokens of the answer and its reasoning.
    pub output: u64,
    /// Tokens of the prompt that were read from the provider's cache.
    pub cached_input: u64,
}

/// Reason why a model call failed. Two errors do not always fail the run. After `TooLong`, the engine shortens the
/// conversation and calls the model again. After `Broken`, the engine calls the model again if retries are left and
/// the answer has no tool calls.
#[derive(Debug, thiserror::Error)]
pub enum LlmError {
    /// The provider refused the API key, for example with status 401 or 403.
    #[error("the model provider refused the server's API key ({0}); check it in the server's configuration")]
    Credentials(String),
    /// The provider refused the request, for example with status 400, 404 or 413.
    #[error("the model provider refused the request: {0}")]
    Refused(String),
    /// The provider or its moderation blocked the prompt.
    #[error("the model provider blocked the prompt: {0}")]
    Blocked(String),
    /// The server's account at the provider has no credit or quota left.
    #[error("the server has no quota left at the model provider ({0}); add credit there, or use another model")]
    Quota(String),
    /// The provider does not offer the model.
    #[error(
        "the model provider does not know the model ({0}); correct its name in the server's configuration, or use another model"
    )]
    UnknownModel(String),
    /// The conversation exceeds the model's context window.
    #[error(
        "the conversation does not fit the model's context window ({message}); start a new thread or use a model with a larger window"
    )]
    TooLong {
        /// The provider's error, for the user.
        message: String,
        /// Size of the window in tokens. Missing if the provider does not report it.
        window: Option<u64>,
    },
    /// No retries are left: the provider was unreachable, kept failing or sent invalid answers.
    #[error("the model provider is unavailable: {0}")]
    Unavailable(String),
    /// The stream failed after the first token, or several attempts ended in the middle of a tool call.
    #[error("the model's answer broke off: {0}")]
    Broken(String),
}

impl LlmError {
    /// Returns a short name for log lines, which must not contain a provider's messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Credentials(_) => "credentials",
            Self::Refused(_) => "refused",
            Self::Blocked(_) => "blocked",
            Self::Quota(_) => "quota",
            Self::UnknownModel(_) => "unknown model",
            Self::TooLong { .. } => "too long",
            Self::Unavailable(_) => "unavailable",
            Self::Broken(_) => "broken",
        }
    }
}

/// The events of one answer. An error is the last item.
pub type ModelStream = BoxStream<'static, Result<ModelEvent, LlmError>>;

/// Access to models.
#[async_trait]
pub trait Llm: Send + Sync {
    /// Starts a model call and returns immediately. Polling the stream drives the call and its retries.
    async fn stream(&self, request: ModelRequest) -> ModelStream;

    /// Returns whether a model sees images, and which images its provider accepts. `over` overrides the provider's
    /// capabilities.
    fn vision(&self, _model: &str, over: VisionSettings) -> Vision {
        Vision::from(over)
    }

    /// Returns whether requests for a model may contain [`ModelRequest::output`].
    fn structured_output(&self, _model: &str) -> StructuredOutput {
        StructuredOutput::Prompt
    }
}
