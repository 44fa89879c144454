//! `runyard models`: lists or tests the configured models, without a running server.

mod sight;
mod trial;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    Outcome,
    checks::Check,
    output::{Output, cut, one_line},
    settings::Settings,
};
use crate::{
    config::{Config, Model, VisionSettings},
    error::{Error, Result},
    llm::{self, Llm},
    telemetry,
};

/// Time in seconds for which a test retries a failed call. Runs retry longer.
const RETRY_SECONDS: u64 = 15;

/// List the configured models, or test one.
///
/// Both commands read the server's configuration, so run them in the server's folder and with its environment
/// variables. The server need not be running.
#[derive(Args, Debug)]
pub(super) struct Models {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the models: public name, provider, upstream model, context window, vision and prices.
    List {
        /// Print a JSON object for each model.
        #[arg(long)]
        json: bool,
    },
    /// Ask a model a question, make it call a tool, show it an image if it sees images, and report what works.
    ///
    /// Prints one line per check: ok, warn or bad, and the cause. Exits with status 1 if any check is bad. The calls
    /// cost what the provider charges for them; no account of the server is charged.
    Test {
        /// Public name of the model.
        name: String,
        /// Print a JSON object for each check.
        #[arg(long)]
        json: bool,
    },
}

impl Models {
    pub(super) async fn execute(self, settings: &Settings) -> Result<Outcome> {
        telemetry::start_logging(&settings.log_filter("off"))?;
        let mut config = settings.config()?;
        match self.action {
            Action::List { json } => {
                list(&config, &llm::Models::new(&config.engine())?, json)?;
                Ok(Outcome::Success)
            }
            Action::Test { name, json } => {
                for provider in config.providers.values_mut() {
                    provider.retry_seconds.get_or_insert(RETRY_SECONDS);
                }
                let models = llm::Models::new(&config.engine())?;
                let table = config.model_table();
                let model = table.load(&name).map_err(|error| with_advice(&error))?;
                trial::test(model, &models, json).await
            }
        }
    }
}

/// Maximum number of models that [`brief`] calls.
const MAX_MODELS: usize = 20;

/// Asks each configured model one question, and shows an image to those that see images, for `runyard doctor`.
pub(super) async fn brief(mut config: Config) -> Vec<Check> {
    for provider in config.providers.values_mut() {
        provider.retry_seconds.get_or_insert(RETRY_SECONDS);
    }
    let models = match llm::Models::new(&config.engine()) {
        Ok(models) => models,
        Err(error) => return vec![Check::bad("models", error.to_string())],
    };
    let mut checks = Vec::new();
    for model in config.models.iter().filter(|model| !models.is_demo(&model.name)) {
        if checks.len() >= MAX_MODELS {
            checks.push(Check::warn("models", format!("only {MAX_MODELS} models are called")));
            break;
        }
        checks.push(trial::brief(model, &models).await);
    }
    if checks.is_empty() {
        checks.push(Check::warn(
            "models",
            "no provider is configured, so no model is called",
        ));
    }
    checks
}

fn with_advice(error: &Error) -> Error {
    let message = format!("{}; `runyard models list` shows the names", error.message());
    Error::new(error.code(), message)
}

/// The JSON output of `runyard models list`.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    aliases: &'a [String],
    /// `demo` for the built-in model.
    provider: &'a str,
    upstream: &'a str,
    context_window: u64,
    max_output_tokens: u32,
    input_price: f64,
    cached_input_price: f64,
    output_price: f64,
    /// True if the model sees images.
    images: bool,
}

impl<'a> Listed<'a> {
    fn of(model: &'a Model, models: &'a llm::Models) -> Self {
        let is_demo = models.is_demo(&model.name);
        Self {
            name: &model.name,
            aliases: &model.aliases,
            provider: if is_demo { "demo" } else { &model.provider },
            upstream: models.upstream(&model.name).unwrap_or(&model.upstream),
            context_window: model.context_window,
            max_output_tokens: model.max_output_tokens,
            input_price: model.input_price,
            cached_input_price: model.cached_input_price.unwrap_or(model.input_price),
            output_price: model.output_price,
            images: models.vision(&model.name, VisionSettings::UNSET).images,
        }
    }

    fn line(&self) -> String {
        format!(
            "{:<30}  {:<12}  {:<30}  {:>8} tokens  {}  $ per million tokens: {} in, {} cached, {} out",
            cut(&one_line(self.name), 30),
            cut(&one_line(self.provider), 12),
            cut(&one_line(self.upstream), 30),
            self.context_window,
            if self.images { "images" } else { "      " },
            self.input_price,
            self.cached_input_price,
            self.output_price,
        )
    }
}

fn list(config: &Config, models: &llm::Models, is_json: bool) -> Result<()> {
    let mut out = Output::new();
    for model in &config.models {
        let listed = Listed::of(model, models);
        let line = if is_json {
            serde_json::to_string(&listed).unwrap_or_default()
        } else {
            listed.line()
        };
        out.line(&line)?;
    }
    Ok(())
}
