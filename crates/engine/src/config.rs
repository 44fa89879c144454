//! The configuration of the models: the providers, and the public models that they serve.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::llm::ReasoningEffort;

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
    /// How much the model reasons, for requests that do not say it; `None` for the provider's default.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Fields to add to each request body.
    pub extra_body: Map<String, Value>,
}

/// The protocol that a provider speaks.
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
    /// The protocol that the provider speaks.
    pub kind: ProviderKind,
    /// Base URL, such as `http://127.0.0.1:11434/v1/`; the vendor's URL by default.
    pub base_url: Option<String>,
    /// API key; not needed for a local server.
    pub api_key: Option<SecretString>,
    /// Upstream model for all public models of this provider, instead of their [`Model::upstream`]; `None` if each
    /// public model has its own.
    pub model: Option<String>,
}
