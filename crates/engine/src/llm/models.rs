//! Maps public model names to providers. The demo model serves models whose provider is not configured.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use serde_json::{Map, Value};

use super::{Llm, LlmError, ModelRequest, ModelStream, ReasoningEffort, demo::Demo, upstream::Upstream};
use crate::{
    config::{Config, DEMO_PROVIDER, Provider, StructuredOutput, Vision, VisionSettings},
    error::{Error, Result},
};

/// The public models and their providers.
pub struct Models {
    routes: BTreeMap<String, Route>,
    /// Counters of [`Models::skipped_pieces`].
    skipped: BTreeMap<String, Arc<AtomicU64>>,
}

#[derive(Clone)]
struct Route {
    llm: Arc<dyn Llm>,
    upstream: String,
    server: Server,
    reasoning_effort: Option<ReasoningEffort>,
    extra_body: Map<String, Value>,
    vision: VisionSettings,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    Provider,
    BuiltIn,
}

impl Models {
    /// Creates the providers and public models of a configuration.
    ///
    /// # Errors
    /// `INVALID_REQUEST` if a provider's settings are invalid; `INTERNAL` if the TLS library cannot start.
    pub fn new(config: &Config) -> Result<Self> {
        let mut providers: BTreeMap<&str, (&Provider, Arc<dyn Llm>)> = BTreeMap::new();
        let mut skipped = BTreeMap::new();
        for (name, provider) in &config.providers {
            let upstream = connect(name, provider)?;
            skipped.insert(name.clone(), upstream.skipped_pieces());
            providers.insert(name, (provider, Arc::new(upstream)));
        }
        let demo: Arc<dyn Llm> = Arc::new(Demo);
        let mut routes = BTreeMap::new();
        for model in &config.models {
            let provider = (model.provider != DEMO_PROVIDER)
                .then(|| providers.get(model.provider.as_str()))
                .flatten();
            let (llm, upstream, server) = match provider {
                Some((provider, llm)) => {
                    let upstream = provider.model.as_ref().unwrap_or(&model.upstream);
                    (llm, upstream, Server::Provider)
                }
                None => (&demo, &model.upstream, Server::BuiltIn),
            };
            let route = Route {
                llm: Arc::clone(llm),
                upstream: upstream.clone(),
                server,
                reasoning_effort: model.reasoning_effort,
                extra_body: model.extra_body.clone(),
                vision: model.vision,
            };
            for name in std::iter::once(&model.name).chain(&model.aliases) {
                routes.insert(name.clone(), route.clone());
            }
        }
        Ok(Self { routes, skipped })
    }

    /// Creates models that all call the same `Llm`.
    pub fn with_one(names: impl IntoIterator<Item = String>, llm: &Arc<dyn Llm>) -> Self {
        let route = |name: &String| Route {
            llm: Arc::clone(llm),
            upstream: name.clone(),
            server: Server::Provider,
            reasoning_effort: None,
            extra_body: Map::new(),
            vision: VisionSettings::UNSET,
        };
        Self {
            routes: names.into_iter().map(|name| (name.clone(), route(&name))).collect(),
            skipped: BTreeMap::new(),
        }
    }

    /// Returns whether this is a public name or an alias of a configured model.
    pub fn serves(&self, name: &str) -> bool {
        self.routes.contains_key(name)
    }

    /// Returns whether the built-in demo model serves this name.
    pub fn is_demo(&self, name: &str) -> bool {
        self.routes
            .get(name)
            .is_some_and(|route| route.server == Server::BuiltIn)
    }

    /// Returns the name that a public model has at its provider.
    pub fn upstream(&self, name: &str) -> Option<&str> {
        self.routes.get(name).map(|route| route.upstream.as_str())
    }

    /// Returns how many answer parts of each provider could not be parsed and were skipped or repaired.
    pub fn skipped_pieces(&self) -> impl Iterator<Item = (&str, u64)> {
        self.skipped
            .iter()
            .map(|(provider, count)| (provider.as_str(), count.load(Ordering::Relaxed)))
    }

    /// Returns the names that the built-in demo model serves, in alphabetical order.
    pub fn demo_names(&self) -> impl Iterator<Item = &str> {
        self.routes
            .iter()
            .filter(|(_, route)| route.server == Server::BuiltIn)
            .map(|(name, _)| name.as_str())
    }
}

fn connect(name: &str, provider: &Provider) -> Result<Upstream> {
    Upstream::new(name, provider)
        .map_err(|error| Error::new(error.code(), format!("providers.{name}: {}", error.message())))
}

#[async_trait]
impl Llm for Models {
    async fn stream(&self, mut request: ModelRequest) -> ModelStream {
        let Some(route) = self.routes.get(&request.model) else {
            let error = LlmError::Refused(format!("unknown model {}", request.model));
            return stream::iter([Err(error)]).boxed();
        };
        request.model.clone_from(&route.upstream);
        request.reasoning_effort = request.reasoning_effort.or(route.reasoning_effort);
        for (key, value) in &route.extra_body {
            request.extra_body.entry(key).or_insert_with(|| value.clone());
        }
        let over = request.vision;
        request.vision = route.vision;
        request.vision.lay(over);
        route.llm.stream(request).await
    }

    fn vision(&self, model: &str, over: VisionSettings) -> Vision {
        let Some(route) = self.routes.get(model) else {
            return Vision::none();
        };
        let mut settings = route.vision;
        settings.lay(over);
        route.llm.vision(&route.upstream, settings)
    }

    fn structured_output(&self, model: &str) -> StructuredOutput {
        let route = self.routes.get(model);
        route.map_or(StructuredOutput::Prompt, |route| {
            route.llm.structured_output(&route.upstream)
        })
    }
}
