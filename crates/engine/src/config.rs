//! Configuration of model providers, and of the public models that they serve.

mod capabilities;
mod vision;

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::llm::ReasoningEffort;
pub use capabilities::{
    CallIds, Capabilities, EffortStyle, KeyHeader, MaxTokensField, ReasoningReturn, SystemRole, ThinkTags,
};
pub use vision::{ImageFormats, Vision, VisionSettings};

/// Name of the provider that serves models whose configuration sets no provider.
pub const DEFAULT_PROVIDER: &str = "default";

/// Name of the built-in demo provider, which needs no configuration.
pub const DEMO_PROVIDER: &str = "demo";

/// Configuration of the engine: the model providers and the public models.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Model providers by name.
    pub providers: BTreeMap<String, Provider>,
    /// Models that clients can name in requests.
    pub models: Vec<Model>,
}

/// A public model and its provider.
#[derive(Clone, Debug)]
pub struct Model {
    /// The public name, such as `kortix/basic`.
    pub name: String,
    /// Other public names of the same model.
    pub aliases: Vec<String>,
    /// Name of the provider. [`DEMO_PROVIDER`] selects the built-in demo model.
    pub provider: String,
    /// Name under which the provider offers the model.
    pub upstream: String,
    /// Reasoning effort for requests that set none; `None` for the provider's default.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Fields added to the body of every request for this model. They override [`Provider::extra_body`].
    pub extra_body: Map<String, Value>,
    /// Vision of this model. It overrides the provider's [`Capabilities::vision`].
    pub vision: VisionSettings,
}

/// Wire protocol of a provider.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// OpenAI Chat Completions, offered by OpenAI, `OpenRouter`, Ollama, llama.cpp, vLLM and others.
    OpenAi,
    /// Anthropic Messages (`POST messages`), offered by Anthropic and compatible servers.
    Anthropic,
    /// Gemini `generateContent`, offered by the Gemini API and Vertex AI.
    Gemini,
    /// OpenAI Responses (`POST responses`), offered by OpenAI and compatible servers.
    Responses,
}

/// Settings of a model provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Wire protocol of the provider.
    pub kind: ProviderKind,
    /// Base URL, such as `http://127.0.0.1:11434/v1/`; the vendor's URL by default. The path and the query of
    /// the base URL are part of every request URL.
    pub base_url: Option<String>,
    /// API key; `None` for a provider without authentication, such as a local server.
    pub api_key: Option<SecretString>,
    /// The provider's model name for all public models of this provider. It overrides [`Model::upstream`]. `None` keeps
    /// the name of each model.
    pub model: Option<String>,
    /// Headers added to every request. They override headers of the same name that the protocol sets. Their values are
    /// treated as secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretString>,
    /// Query parameters added to every request URL, such as Azure's `api-version`.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// URL of an HTTP proxy for all requests to the provider. It may contain a user name and a password.
    pub proxy: Option<SecretString>,
    /// Name of the request field that limits the number of output tokens. By default, the built-in table of providers
    /// determines the name.
    pub max_tokens_field: Option<MaxTokensField>,
    /// If false, the field `stream_options` is not sent. The field makes the provider report token usage in a stream.
    pub stream_options: Option<bool>,
    /// If false, answers are requested as one JSON document instead of a stream.
    pub stream: Option<bool>,
    /// Fields added to the body of every request. They replace fields of the same name that the protocol sets.
    #[serde(default)]
    pub extra_body: Map<String, Value>,
    /// Default reasoning effort for all models of this provider. A model or a run can override the default.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Maximum time in seconds without data from the provider before the first token. Keep-alives count as data. The
    /// default is 120, or 600 for a provider with a private address or without streaming.
    pub first_token_seconds: Option<u64>,
    /// Maximum time in seconds without data from the provider after the first token; 60 by default. Keep-alives count
    /// as data.
    pub silence_seconds: Option<u64>,
    /// Maximum duration of a model call in seconds, including retries. By default, only the run's time limit applies.
    pub total_seconds: Option<u64>,
    /// Maximum time in seconds from the first attempt of a model call to its last retry; 300 by default.
    pub retry_seconds: Option<u64>,
    /// Properties that override the built-in provider table.
    #[serde(default)]
    pub capabilities: Capabilities,
}

impl Provider {
    /// Creates settings for a provider at the vendor's URL, without an API key and with default values.
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
