//! Requests the available models or the size of a context window, to explain an error.

use serde_json::Value;

use super::{http::Endpoint, profile::Profile, protocol::Protocol};

const MAX_MODELS: usize = 20;

/// JSON pointers to the context window in the model lists of vLLM, OpenRouter, LM Studio, Mistral, Groq, Gemini and
/// Anthropic.
const WINDOWS: &[&str] = &[
    "/max_model_len",
    "/loaded_context_length",
    "/context_length",
    "/context_window",
    "/max_context_length",
    "/inputTokenLimit",
    "/max_input_tokens",
];

#[derive(Clone, Copy)]
pub(super) struct Catalog<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) protocol: &'a dyn Protocol,
    pub(super) profile: &'a Profile,
}

impl Catalog<'_> {
    /// Returns up to [`MAX_MODELS`] model names, if the provider lists them.
    pub(super) async fn names(self) -> Option<String> {
        let models = self.models().await?;
        let names: Vec<&str> = models.iter().filter_map(name).collect();
        let more = names.len().saturating_sub(MAX_MODELS);
        let mut text = names[..names.len() - more].join(", ");
        if more > 0 {
            text = format!("{text} and {more} more");
        }
        (!names.is_empty()).then_some(text)
    }

    /// Returns the model's context window in tokens, if the provider reports it.
    pub(super) async fn window(self, model: &str) -> Option<u64> {
        // A llama.cpp server has one model, and its settings (`/props`) contain the window.
        let props = self.get("props", true).await.unwrap_or_default();
        let window = props
            .pointer("/default_generation_settings/n_ctx")
            .and_then(Value::as_u64);
        if window.is_some() {
            return window;
        }
        let models = self.models().await?;
        let entry = models.iter().find(|entry| name(entry) == Some(model))?;
        WINDOWS
            .iter()
            .find_map(|pointer| entry.pointer(pointer).and_then(Value::as_u64))
    }

    async fn models(self) -> Option<Vec<Value>> {
        let list = match self.get("models", false).await? {
            Value::Object(mut fields) => fields.remove("data").or_else(|| fields.remove("models"))?,
            list => list,
        };
        match list {
            Value::Array(models) => Some(models),
            _ => None,
        }
    }

    async fn get(self, path: &str, is_root: bool) -> Option<Value> {
        self.endpoint.get(self.protocol, self.profile, path, is_root).await
    }
}

fn name(model: &Value) -> Option<&str> {
    let name = model["id"].as_str().or_else(|| model["name"].as_str())?;
    Some(name.strip_prefix("models/").unwrap_or(name))
}
