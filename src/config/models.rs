//! The model table: public names, and who serves them.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;
use serde::Deserialize;

use super::place::Mistake;
use crate::error::{Code, Error, Result};

/// The name of the provider that serves every model which names none.
pub const DEFAULT_PROVIDER: &str = "default";

/// The name of the built-in model, and of the provider that needs no configuration.
pub const DEMO_PROVIDER: &str = "demo";

/// Which protocol a provider speaks.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// OpenAI's chat completions: OpenAI, `OpenRouter`, Ollama, llama.cpp, vLLM and others.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Google's Gemini.
    Gemini,
}

/// One provider of models.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The protocol.
    pub kind: ProviderKind,
    /// The base URL, such as `http://127.0.0.1:11434/v1/`; the vendor's own when absent.
    pub base_url: Option<String>,
    /// The key; none for a local server.
    pub api_key: Option<SecretString>,
    /// The upstream model that answers for every public name, instead of the one in the model table.
    pub model: Option<String>,
}

/// One public model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The public name, such as `kortix/basic`.
    pub name: String,
    /// Other names that mean the same model.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The provider's name in the configuration.
    #[serde(default = "default_provider")]
    pub provider: String,
    /// The provider's name of the model.
    pub upstream: String,
    /// Tokens that the model sees at once.
    pub context_window: u64,
    /// Tokens that one answer may have.
    pub max_output_tokens: u32,
    /// US dollars for a million prompt tokens.
    pub input_price: f64,
    /// US dollars for a million answer tokens.
    pub output_price: f64,
}

fn default_provider() -> String {
    DEFAULT_PROVIDER.to_owned()
}

/// The public models, found by any of their names.
#[derive(Clone, Debug)]
pub struct ModelTable {
    models: Vec<Model>,
}

impl ModelTable {
    /// A table of models whose names were checked.
    pub fn new(models: Vec<Model>) -> Self {
        Self { models }
    }

    /// The model of a public name or alias.
    ///
    /// # Errors
    /// `UNKNOWN_MODEL`.
    pub fn load(&self, name: &str) -> Result<&Model> {
        self.find(name)
            .ok_or_else(|| Error::new(Code::UnknownModel, format!("Unknown model: {name}")))
    }

    /// The model of a public name or alias.
    pub fn find(&self, name: &str) -> Option<&Model> {
        self.models
            .iter()
            .find(|model| model.name == name || model.aliases.iter().any(|alias| alias == name))
    }

    /// All models, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Model> {
        self.models.iter()
    }
}

/// Refuses names that are empty or occur twice, providers that do not exist, prices that are no prices and addresses that are
/// no addresses.
pub(super) fn check<'c>(
    models: &'c [Model],
    providers: &'c BTreeMap<String, Provider>,
) -> std::result::Result<(), Mistake<'c>> {
    for (name, provider) in providers {
        let base_url = provider.base_url.as_deref().unwrap_or("https://");
        if !base_url.starts_with("http://") && !base_url.starts_with("https://") {
            let what = "must begin with http:// or https://";
            return Err(Mistake::at(["providers", name, "base_url"], what));
        }
    }
    let mut seen = BTreeSet::new();
    for (index, model) in models.iter().enumerate() {
        let wrong = |key, what: String| Err(Mistake::entry("models", (index, key), what));
        let aliases = model.aliases.iter().map(|alias| ("aliases", alias));
        for (key, name) in std::iter::once(("name", &model.name)).chain(aliases) {
            if name.is_empty() {
                return wrong(key, "a name must not be empty".to_owned());
            }
            if !seen.insert(name) {
                return wrong(key, format!("the name {name} occurs twice"));
            }
        }
        let known = [DEFAULT_PROVIDER, DEMO_PROVIDER].contains(&model.provider.as_str());
        if !known && !providers.contains_key(&model.provider) {
            let (name, provider) = (&model.name, &model.provider);
            return wrong(
                "provider",
                format!("{name} names the provider {provider}, which is not configured"),
            );
        }
        for (key, price) in [("input_price", model.input_price), ("output_price", model.output_price)] {
            if !price.is_finite() || price < 0.0 {
                return wrong(key, format!("the price of {} is negative or not a number", model.name));
            }
        }
        if model.context_window <= u64::from(model.max_output_tokens) {
            let what = "leaves no room for a prompt: it must exceed max_output_tokens";
            return wrong("context_window", format!("{} {what}", model.name));
        }
    }
    Ok(())
}
