//! The tiers: what a plan allows.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Model;
use crate::error::{Error, Result};

/// What a plan allows. A limit that is absent does not exist.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The name, such as `free`.
    pub name: String,
    /// Runs that may hold a slot at once.
    pub concurrent_runs: Option<i32>,
    /// Agents.
    pub agents: Option<i32>,
    /// Threads.
    pub threads: Option<i32>,
    /// Projects.
    pub projects: Option<i32>,
    /// Public names of the models; `*` means all.
    pub models: Vec<String>,
    /// The model of runs whose agent names none.
    pub default_model: String,
    /// Models that run as another one instead of being refused.
    #[serde(default)]
    pub downgrades: BTreeMap<String, String>,
    /// The largest file that may be uploaded, in bytes.
    pub max_upload_bytes: u64,
    /// Credits granted at first sight and then monthly (100 credits are one US dollar).
    pub credits_granted: u64,
}

impl Tier {
    /// Whether the plan includes the model.
    pub fn includes(&self, model: &str) -> bool {
        self.models.iter().any(|name| name == "*" || name == model)
    }
}

/// The tiers by name.
#[derive(Clone, Debug)]
pub struct TierTable {
    tiers: Vec<Tier>,
}

impl TierTable {
    /// A table of tiers whose names were checked.
    pub fn new(tiers: Vec<Tier>) -> Self {
        Self { tiers }
    }

    /// The tier of new accounts: the first one.
    pub fn first(&self) -> &Tier {
        &self.tiers[0]
    }

    /// The tier of a name.
    pub fn find(&self, name: &str) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.name == name)
    }

    /// The names, in the order of the configuration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tiers.iter().map(|tier| tier.name.as_str())
    }

    /// The tier of a name; an account whose tier was taken out of the configuration falls back to the first one.
    pub fn load(&self, name: &str) -> &Tier {
        self.find(name).unwrap_or_else(|| self.first())
    }
}

/// Refuses an empty table, names that occur twice and models that do not exist.
pub(super) fn check(tiers: &[Tier], models: &[Model]) -> Result<()> {
    if tiers.is_empty() {
        return Err(Error::invalid("tiers: at least one tier is needed"));
    }
    for (position, tier) in tiers.iter().enumerate() {
        if tiers[..position].iter().any(|other| other.name == tier.name) {
            return Err(Error::invalid(format!("tiers: the name {} occurs twice", tier.name)));
        }
        let named = tier
            .models
            .iter()
            .filter(|name| *name != "*")
            .chain([&tier.default_model]);
        for name in named.chain(tier.downgrades.keys()).chain(tier.downgrades.values()) {
            if !models.iter().any(|model| model.name == *name) {
                return Err(Error::invalid(format!(
                    "tiers: {} names the model {name}, which is not in the model table",
                    tier.name
                )));
            }
        }
    }
    Ok(())
}
