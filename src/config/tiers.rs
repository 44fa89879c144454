//! The tiers: the limits of each plan.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Model, place::Mistake};

/// The limits of a plan. `None` means no limit, except for `run_timeout_seconds`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    pub name: String,
    pub concurrent_runs: Option<i32>,
    /// Whether waiting runs count towards `concurrent_runs`.
    #[serde(default = "yes")]
    pub count_waiting_runs: bool,
    pub agents: Option<i32>,
    pub threads: Option<i32>,
    pub projects: Option<i32>,
    /// Public names; `*` stands for all models.
    pub models: Vec<String>,
    /// Model of an agent that was created without a model, and of a run that has no agent and whose request names no
    /// model.
    pub default_model: String,
    /// Maps models that the plan does not include to the models that a run uses instead.
    #[serde(default)]
    pub downgrades: BTreeMap<String, String>,
    pub max_upload_bytes: u64,
    /// Maximum duration of a run; `None` for the worker's `run_timeout_seconds`.
    pub run_timeout_seconds: Option<u64>,
    /// Credits per calendar month; 100 credits are worth one US dollar. The grant is booked when the account first
    /// uses its balance in the month.
    pub credits_granted: u64,
}

fn yes() -> bool {
    true
}

impl Tier {
    /// `model` is the public name, not an alias.
    pub fn includes(&self, model: &str) -> bool {
        self.models.iter().any(|name| name == "*" || name == model)
    }
}

#[derive(Clone, Debug)]
pub struct TierTable {
    tiers: Vec<Tier>,
}

impl TierTable {
    /// `check` must have accepted the tiers.
    pub fn new(tiers: Vec<Tier>) -> Self {
        Self { tiers }
    }

    /// The tier of new accounts.
    pub fn first(&self) -> &Tier {
        &self.tiers[0]
    }

    pub fn find(&self, name: &str) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.name == name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tiers.iter().map(|tier| tier.name.as_str())
    }

    pub fn limits_time(&self) -> bool {
        self.tiers.iter().any(|tier| tier.run_timeout_seconds.is_some())
    }

    /// An unknown name gives the first tier.
    pub fn load(&self, name: &str) -> &Tier {
        self.find(name).unwrap_or_else(|| self.first())
    }
}

pub(super) fn check<'c>(tiers: &'c [Tier], models: &[Model]) -> Result<(), Mistake<'c>> {
    if tiers.is_empty() {
        return Err(Mistake::at(["tiers"], "at least one tier is required"));
    }
    for (index, tier) in tiers.iter().enumerate() {
        let wrong = |key, what: String| Err(Mistake::entry("tiers", (index, key), what));
        if tier.name.is_empty() {
            return wrong("name", "a name must not be empty".to_owned());
        }
        if tiers[..index].iter().any(|other| other.name == tier.name) {
            return wrong("name", format!("the name {} occurs twice", tier.name));
        }
        let limits = [
            ("concurrent_runs", tier.concurrent_runs),
            ("agents", tier.agents),
            ("threads", tier.threads),
            ("projects", tier.projects),
        ];
        if let Some((key, _)) = limits.iter().find(|(_, limit)| limit.is_some_and(|limit| limit < 0)) {
            return wrong(
                key,
                format!(
                    "a limit of the tier {} is negative; to remove the limit, remove the key",
                    tier.name
                ),
            );
        }
        if tier.run_timeout_seconds == Some(0) {
            let what = format!(
                "the run timeout of the tier {} must be 1 or more; to use worker.run_timeout_seconds, remove the key",
                tier.name
            );
            return wrong("run_timeout_seconds", what);
        }
        let offered = tier
            .models
            .iter()
            .filter(|name| *name != "*")
            .map(|name| ("models", name));
        let replaced = tier.downgrades.iter().flat_map(|(from, to)| [from, to]);
        let named = offered
            .chain([("default_model", &tier.default_model)])
            .chain(replaced.map(|name| ("downgrades", name)));
        for (key, name) in named {
            if !models.iter().any(|model| model.name == *name) {
                let what = format!("the tier {} names the model {name}, which is not in models", tier.name);
                return wrong(key, what);
            }
        }
        let has_default = tier.includes(&tier.default_model) || tier.downgrades.contains_key(&tier.default_model);
        if !has_default {
            let (name, model) = (&tier.name, &tier.default_model);
            let what = format!(
                "the tier {name} does not include its default model {model}; add it to the tier's models or downgrades"
            );
            return wrong("default_model", what);
        }
    }
    Ok(())
}
