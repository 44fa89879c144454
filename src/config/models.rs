//! The public models, and the providers that serve them.

use std::collections::{BTreeMap, BTreeSet};

pub use runyard_engine::config::{DEFAULT_PROVIDER, DEMO_PROVIDER, Provider, ProviderKind, VisionSettings};
use runyard_engine::llm::ReasoningEffort;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Config, place::Mistake};
use crate::error::{Code, Error, Result};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The public name, such as `kortix/basic`.
    pub name: String,
    #[serde(default)]
    pub aliases: Vec<String>,
    #[serde(default = "default_provider")]
    pub provider: String,
    /// The name of the model at the provider.
    pub upstream: String,
    /// In tokens.
    pub context_window: u64,
    /// Per model call.
    pub max_output_tokens: u32,
    /// In US dollars per million prompt tokens.
    pub input_price: f64,
    /// In US dollars per million prompt tokens that the provider reads from its cache. If this is `None`,
    /// `input_price` applies.
    pub cached_input_price: Option<f64>,
    /// In US dollars per million output tokens.
    pub output_price: f64,
    /// Default for runs with this model; `None` for the provider's default.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Fields that are added to the JSON body of each request to the provider.
    #[serde(default)]
    pub extra_body: Map<String, Value>,
    /// Whether the model sees images, and which images the provider accepts. It overrides the capabilities of the
    /// provider.
    #[serde(default)]
    pub vision: VisionSettings,
}

fn default_provider() -> String {
    DEFAULT_PROVIDER.to_owned()
}

impl Config {
    /// Returns the configuration of the engine. The engine needs no prices and no limits.
    pub fn engine(&self) -> runyard_engine::Config {
        let models = self.models.iter().map(|model| runyard_engine::config::Model {
            name: model.name.clone(),
            aliases: model.aliases.clone(),
            provider: model.provider.clone(),
            upstream: model.upstream.clone(),
            reasoning_effort: model.reasoning_effort,
            extra_body: model.extra_body.clone(),
            vision: model.vision,
        });
        runyard_engine::Config {
            providers: self.providers.clone(),
            models: models.collect(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct ModelTable {
    models: Vec<Model>,
}

impl ModelTable {
    /// `check` must have accepted the models.
    pub fn new(models: Vec<Model>) -> Self {
        Self { models }
    }

    /// `name` may be an alias.
    pub fn load(&self, name: &str) -> Result<&Model> {
        self.find(name)
            .ok_or_else(|| Error::new(Code::UnknownModel, format!("Unknown model: {name}")))
    }

    pub fn find(&self, name: &str) -> Option<&Model> {
        self.models
            .iter()
            .find(|model| model.name == name || model.aliases.iter().any(|alias| alias == name))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Model> {
        self.models.iter()
    }
}

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
                format!("the model {name} uses the provider {provider}, which is not configured"),
            );
        }
        let cached = model.cached_input_price.unwrap_or_default();
        for (key, price) in [
            ("input_price", model.input_price),
            ("cached_input_price", cached),
            ("output_price", model.output_price),
        ] {
            if !price.is_finite() || price < 0.0 {
                return wrong(key, format!("the price of {} must be 0 or more", model.name));
            }
        }
        if model.context_window <= u64::from(model.max_output_tokens) {
            let what = "must be larger than max_output_tokens";
            return wrong("context_window", format!("the context window of {} {what}", model.name));
        }
    }
    Ok(())
}
