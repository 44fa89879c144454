//! The interface to model providers.
//!
//! The engine calls models only through the trait [`Llm`]. `llm/upstream.rs` implements the trait for real providers
//! over HTTP, and `llm/demo.rs` for the built-in demo model. `llm/models.rs` maps public model names to these
//! implementations. Dropping the stream of a call cancels the call.

pub mod demo;
pub mod models;
pub mod upstream;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;

use crate::{
    config::{Vision, VisionSettings},
    images::Image,
};
pub use demo::Demo;
pub use models::Models;
pub use upstream::{Retries, Timeouts, Upstream};

/// A request to a model, independent of the provider's protocol.
#[derive(Clone, Debug)]
pub struct ModelRequest {
    /// Name of the model. The engine sets the public name, and `Models` replaces it with the name under which the
    /// provider offers the model.
    pub model: String,
    /// The system prompt; empty for none.
    pub system: String,
    /// The conversation so far, oldest first.
    pub messages: Vec<ChatMessage>,
    /// Tools that the model may call. If the list is empty, the model cannot call tools.
    pub tools: Vec<ToolSpec>,
    /// Maximum number of tokens of the answer.
    pub max_output_tokens: u32,
    /// Reasoning effort of the model. `None` selects the configured default or, without one, the provider's default.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Fields added to the request body. They replace fields of the same name that the protocol or the provider's
    /// configuration sets.
    pub extra_body: serde_json::Map<String, Value>,
    /// Vision of the model. It overrides the provider's capabilities.
    pub vision: VisionSettings,
}

/// Amount of reasoning that a model does before it answers.
#[derive(Clone, Copy, Debug, serde::Deserialize, serde::Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ReasoningEffort {
    /// No reasoning.
    None,
    /// The smallest amount of reasoning that the model supports.
    Minimal,
    /// A small amount of reasoning.
    Low,
    /// A moderate amount of reasoning.
    Medium,
    /// A large amount of reasoning.
    High,
}

impl ReasoningEffort {
    /// All efforts, from none to high.
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

/// Provider data: the reasoning, signatures and call ids that a provider attached to an answer. Later requests send
/// this data back together with the answer.
///
/// The data is stored with the message and sent only to the provider and model family from which it came. Only the
/// implementation of that provider's protocol interprets the data.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize, PartialEq)]
pub struct Carried {
    /// Name of the provider in the configuration.
    pub provider: String,
    /// Family of the provider's model, such as `gemini-3`.
    pub family: String,
    /// The data, in the format of the protocol.
    pub value: Value,
}

/// A message of the conversation. The system prompt is not a message.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatMessage {
    /// A message from the user, or a note of the engine (`history.rs`).
    User {
        /// Text of the message. A note of the engine starts with `history::NOTE`.
        text: String,
        /// Images of the message, in the order in which the text names them.
        images: Vec<Image>,
    },
    /// A message from the model.
    Assistant {
        /// Text of the message; empty if the model only called tools.
        text: String,
        /// Tools that the model called.
        tool_calls: Vec<ToolRequest>,
        /// Provider data to send back with this message; `None` if the message has none.
        carried: Option<Carried>,
    },
    /// The result of a tool call.
    Tool {
        /// [`ToolRequest::id`] of the call.
        tool_call_id: String,
        /// Name of the called tool. Some protocols require the name in the result.
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

/// A tool call as the model sent it, before validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolRequest {
    /// Id of the call. The engine makes the id unique within the run.
    pub id: String,
    /// Name of the tool; the tool may not exist.
    pub name: String,
    /// Arguments as the model sent them; they may not be valid JSON.
    pub arguments: String,
}

/// Description of a tool for the model.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    /// Name of the tool, unique among the tools of a request.
    pub name: String,
    /// Explains to the model what the tool does.
    pub description: String,
    /// JSON schema of the arguments.
    pub parameters: Value,
}

/// One event of a model's answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelEvent {
    /// An attempt failed before the first token, and another attempt follows.
    Retried {
        /// Text that tells the user about the failure and the next attempt.
        message: String,
    },
    /// A chunk of the answer's text.
    Text(String),
    /// A chunk of reasoning, which is not part of the answer's text.
    Reasoning(String),
    /// A complete tool call.
    ToolCall(ToolRequest),
    /// Token usage of the call. The event is missing if the provider does not report the usage.
    Usage(TokenUsage),
    /// Provider data to send back with this answer. Each answer has up to one such event, before `End`.
    Carried(Carried),
    /// End of the answer; always the last event of a complete stream.
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
    /// Tokens of the answer, including reasoning.
    pub output: u64,
    /// Tokens of the prompt that the provider read from its cache.
    pub cached_input: u64,
}

/// Reason why a model call failed. The error fails the run, with two exceptions. After `TooLong`, the engine shortens
/// the conversation and calls the model again. After `Broken`, the engine calls the model again if retries are left and
/// the incomplete answer contains no tool calls.
#[derive(Debug, thiserror::Error)]
pub enum LlmError {
    /// The provider refused the API key, for example with status 401 or 403. A retry does not help.
    #[error("the model provider refused the server's API key; check it in the server's configuration: {0}")]
    Credentials(String),
    /// The provider refused the request, for example with status 400, 404 or 413. A retry does not help.
    #[error("the model provider refused the request: {0}")]
    Refused(String),
    /// The provider or its moderation blocked the prompt.
    #[error("the model provider blocked the prompt: {0}")]
    Blocked(String),
    /// The server's account at the provider has no credit or quota left.
    #[error("the quota at the model provider is used up: {0}")]
    Quota(String),
    /// The provider does not offer the model.
    #[error("the model provider does not know the model: {0}")]
    UnknownModel(String),
    /// The provider reports that the conversation exceeds the model's context window.
    #[error(
        "the conversation does not fit the model's context window; start a new thread or use a model with a larger window: {message}"
    )]
    TooLong {
        /// Text that tells the user which error the provider reported.
        message: String,
        /// Size of the window in tokens; `None` if the provider does not report it.
        window: Option<u64>,
    },
    /// The provider was unreachable, kept failing or sent invalid answers, and no retries are left.
    #[error("the model provider is unavailable: {0}")]
    Unavailable(String),
    /// The answer broke off: the stream failed after the first token, or several attempts ended in the middle of a tool
    /// call.
    #[error("the model's answer broke off: {0}")]
    Broken(String),
}

impl LlmError {
    /// Returns a short name of the error for log lines, which must not contain messages from the provider.
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

/// Stream of the events of one answer. A failure is the last item of the stream.
pub type ModelStream = BoxStream<'static, Result<ModelEvent, LlmError>>;

/// Access to models: the built-in demo model, one provider, or all configured models.
#[async_trait]
pub trait Llm: Send + Sync {
    /// Starts a model call and returns immediately. The call and its retries run while the stream is polled, and each
    /// retry appears as [`ModelEvent::Retried`]. An error is the last item of the stream.
    async fn stream(&self, request: ModelRequest) -> ModelStream;

    /// Returns whether a model sees images, and which images its provider accepts. `over` overrides the provider's
    /// capabilities.
    fn vision(&self, _model: &str, over: VisionSettings) -> Vision {
        Vision::from(over)
    }
}
