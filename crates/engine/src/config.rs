//! Configuration of model providers and public models.

mod capabilities;
mod vision;

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::llm::ReasoningEffort;
pub use capabilities::{
    CallIds, Capabilities, EffortStyle, KeyHeader, MaxTokensField, ReasoningReturn, StructuredOutput, SystemRole,
    ThinkTags,
};
pub use vision::{ImageFormats, Vision, VisionSettings};

/// Name of the provider for models whose configuration names no provider.
pub const DEFAULT_PROVIDER: &str = "default";

/// The built-in demo provider, which needs no configuration.
pub const DEMO_PROVIDER: &str = "demo";

/// Configuration of the engine.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Model providers by name.
    pub providers: BTreeMap<String, Provider>,
    /// Models that requests can name.
    pub models: Vec<Model>,
}

/// A public model and its provider.
#[derive(Clone, Debug)]
pub struct Model {
    /// The public name, such as `kortix/basic`.
    pub name: String,
    /// Other public names of the model.
    pub aliases: Vec<String>,
    /// Name of the provider, or [`DEMO_PROVIDER`].
    pub provider: String,
    /// Name of the model at the provider.
    pub upstream: String,
    /// Reasoning effort of requests that set no effort. If `None`, [`Provider::reasoning_effort`] applies.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Fields added to every request body for this model. They override [`Provider::extra_body`].
    pub extra_body: Map<String, Value>,
    /// Vision of this model. It overrides the provider's [`Capabilities::vision`].
    pub vision: VisionSettings,
}

/// Wire protocol of a provider.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// OpenAI Chat Completions, also offered by OpenRouter, Ollama, llama.cpp, vLLM and others.
    OpenAi,
    /// Anthropic Messages (`POST messages`).
    Anthropic,
    /// Gemini `generateContent`, offered by the Gemini API and Vertex AI.
    Gemini,
    /// OpenAI Responses (`POST responses`).
    Responses,
}

/// Settings of a model provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Wire protocol of the provider.
    pub kind: ProviderKind,
    /// Base URL, such as `http://127.0.0.1:11434/v1/`; the vendor's URL by default. The path and the query are part
    /// of every request URL.
    pub base_url: Option<String>,
    /// API key; `None` for a provider without authentication.
    pub api_key: Option<SecretString>,
    /// Model name in all requests to this provider. Overrides [`Model::upstream`].
    pub model: Option<String>,
    /// Headers added to every request. They override the protocol's headers. Their values are secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretString>,
    /// Query parameters added to every URL, such as Azure's `api-version`.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// URL of an HTTP proxy. It may contain a user name and a password.
    pub proxy: Option<SecretString>,
    /// Request field that limits the output tokens. The default comes from the built-in table of providers.
    pub max_tokens_field: Option<MaxTokensField>,
    /// Whether to send `stream_options`, which requests token usage in a stream.
    pub stream_options: Option<bool>,
    /// Whether to request a stream. If false, an answer is one JSON document.
    pub stream: Option<bool>,
    /// Fields added to every request body. They override the protocol's fields.
    #[serde(default)]
    pub extra_body: Map<String, Value>,
    /// Reasoning effort that models and runs can override.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Maximum seconds without data before the first token. Keep-alives count as data. The default is 120, or 600 for
    /// a provider with a private address or without streaming.
    pub first_token_seconds: Option<u64>,
    /// Maximum seconds without data after the first token; 60 by default. Keep-alives count as data.
    pub silence_seconds: Option<u64>,
    /// Maximum seconds of a model call, including retries. By default, only the run's time limit applies.
    pub total_seconds: Option<u64>,
    /// Maximum seconds from the first attempt of a model call to its last retry; 300 by default.
    pub retry_seconds: Option<u64>,
    /// Properties that override the built-in provider table.
    #[serde(default)]
    pub capabilities: Capabilities,
}

impl Provider {
    /// Creates default settings for the vendor's URL, without an API key.
    pub fn new(kind: ProviderKind) -> Self {
        Self {
            kind,
            base_url: None,
            api_key: None,
            model: None,
            headers: BTreeMap::new(),
            query: BTreeMap::new(),
            proxy: None,
            max_tokens_field: None,
            stream_options: None,
            stream: None,
            extra_body: Map::new(),
            reasoning_effort: None,
            first_token_seconds: None,
            silence_seconds: None,
            total_seconds: None,
            retry_seconds: None,
            capabilities: Capabilities::default(),
        }
    }
}
