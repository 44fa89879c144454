//! The configuration of the models: the providers, and the public models that they serve.

mod capabilities;

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::llm::ReasoningEffort;
pub use capabilities::{
    CallIds, Capabilities, EffortStyle, KeyHeader, MaxTokensField, ReasoningReturn, SystemRole, ThinkTags,
};

/// Name of the provider for models whose configuration names no provider.
pub const DEFAULT_PROVIDER: &str = "default";

/// Name of the built-in demo provider, which needs no configuration.
pub const DEMO_PROVIDER: &str = "demo";

/// The models that the engine can call.
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
    /// Name of the provider; [`DEMO_PROVIDER`] if the built-in demo model serves this model.
    pub provider: String,
    /// Name by which the provider knows the model.
    pub upstream: String,
    /// Reasoning effort if the request sets none; `None` for the provider's default.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Fields to add to each request body.
    pub extra_body: Map<String, Value>,
}

/// Wire protocol of a provider.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// OpenAI chat completions: OpenAI, `OpenRouter`, Ollama, llama.cpp, vLLM and others.
    OpenAi,
    /// Anthropic Messages.
    Anthropic,
    /// Google Gemini.
    Gemini,
    /// OpenAI Responses.
    Responses,
}

/// A provider of models.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Wire protocol of the provider.
    pub kind: ProviderKind,
    /// Base URL, such as `http://127.0.0.1:11434/v1/`; the vendor's URL by default. Request URLs keep its path and
    /// query.
    pub base_url: Option<String>,
    /// API key; not needed for a local server.
    pub api_key: Option<SecretString>,
    /// Upstream model for all public models of this provider. It overrides [`Model::upstream`]. `None` if each public
    /// model has its own upstream model.
    pub model: Option<String>,
    /// Headers to add to every request. They override the protocol's headers of the same name. Their values are
    /// secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretString>,
    /// Query parameters of every request, such as Azure's `api-version`.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// URL of an HTTP proxy for all requests to the provider. It may contain a user name and a password.
    pub proxy: Option<SecretString>,
    /// Name of the request field with the maximum number of tokens of an answer.
    pub max_tokens_field: Option<MaxTokensField>,
    /// If false, requests omit `stream_options`, which requests the token usage.
    pub stream_options: Option<bool>,
    /// If false, answers are requested as one JSON document instead of a stream.
    pub stream: Option<bool>,
    /// Fields to add to every request body. They replace fields of the same name.
    #[serde(default)]
    pub extra_body: Map<String, Value>,
    /// Default reasoning effort; a model or a run can override it.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Maximum time in seconds to the first token; 120 by default, and 600 for a provider with a private address.
    pub first_token_seconds: Option<u64>,
    /// Maximum time in seconds between two parts of an answer; 60 by default. Keep-alives count as parts.
    pub silence_seconds: Option<u64>,
    /// Maximum time in seconds of a whole call, including its retries. By default, only the run's time limit applies.
    pub total_seconds: Option<u64>,
    /// Time in seconds during which a failed call is retried; 300 by default.
    pub retry_seconds: Option<u64>,
    /// Properties that override the built-in table of providers.
    #[serde(default)]
    pub capabilities: Capabilities,
}

impl Provider {
    /// Creates a provider with default settings.
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
