//! A set of tools with their specs, and their schemas compiled once.
//!
//! Made once per process for the core tools and shared by all runs: compiling schemas per run would cost more than starting
//! the run. The invariant: names are unique, and a tool is called only with arguments that fit its schema.

use std::sync::{Arc, LazyLock, OnceLock};

use jsonschema::Validator;
use serde_json::Value;

use super::{Effect, Tool, bash::Bash, edit::Edit, glob::Glob, grep::Grep, read::Read, write::Write};
use crate::llm::ToolSpec;

/// How many mistakes in the arguments the model is told at once.
const MAX_MISTAKES: usize = 5;

/// A set of tools.
pub struct Toolbox {
    slots: Vec<Slot>,
}

/// One tool of a set.
pub struct Slot {
    /// The tool.
    pub tool: Arc<dyn Tool>,
    /// Its spec, asked for once.
    pub spec: ToolSpec,
    validator: OnceLock<Option<Validator>>,
}

impl Toolbox {
    /// A set of the given tools; of two with one name the first stays.
    pub fn new(tools: Vec<Arc<dyn Tool>>) -> Self {
        let mut slots: Vec<Slot> = Vec::with_capacity(tools.len());
        for tool in tools {
            let spec = tool.spec();
            if slots.iter().all(|slot| slot.spec.name != spec.name) {
                slots.push(Slot {
                    tool,
                    spec,
                    validator: OnceLock::new(),
                });
            }
        }
        Self { slots }
    }

    /// What the model is told of the tools.
    pub fn specs(&self) -> Vec<ToolSpec> {
        self.slots.iter().map(|slot| slot.spec.clone()).collect()
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().map(|slot| slot.spec.name.as_str())
    }

    /// The tool of a name.
    pub fn find(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.spec.name == name)
    }

    /// Whether there is nothing to call.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

impl Slot {
    /// Whether a call changes anything.
    pub fn effect(&self) -> Effect {
        self.tool.effect()
    }

    /// Checks arguments against the schema; the mistakes are sentences for the model.
    ///
    /// # Errors
    /// What does not fit, a few mistakes at most.
    pub fn check(&self, arguments: &Value) -> Result<(), String> {
        // A schema that does not compile checks nothing; the tool's own reading of its arguments still does.
        let validator = self
            .validator
            .get_or_init(|| jsonschema::validator_for(&self.spec.parameters).ok());
        let Some(validator) = validator else { return Ok(()) };
        let mistakes: Vec<String> = validator
            .iter_errors(arguments)
            .take(MAX_MISTAKES)
            .map(|mistake| match mistake.instance_path.to_string() {
                path if path.is_empty() => mistake.to_string(),
                path => format!("{path}: {mistake}"),
            })
            .collect();
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(mistakes.join("; "))
        }
    }
}

static CORE: LazyLock<Arc<Toolbox>> = LazyLock::new(|| {
    Arc::new(Toolbox::new(vec![
        Arc::new(Bash),
        Arc::new(Read),
        Arc::new(Write),
        Arc::new(Edit),
        Arc::new(Glob),
        Arc::new(Grep),
    ]))
});
static NONE: LazyLock<Arc<Toolbox>> = LazyLock::new(|| Arc::new(Toolbox::new(Vec::new())));

/// The six core tools: bash, read, write, edit, glob, grep.
pub fn core() -> Arc<Toolbox> {
    Arc::clone(&CORE)
}

/// No tools: the mode "chat".
pub fn none() -> Arc<Toolbox> {
    Arc::clone(&NONE)
}

/// The core tools of the given names, in the order of [`core`]; other names are ignored.
pub fn named(names: &[&str]) -> Arc<Toolbox> {
    let tools = CORE
        .slots
        .iter()
        .filter(|slot| names.contains(&slot.spec.name.as_str()))
        .map(|slot| Arc::clone(&slot.tool));
    Arc::new(Toolbox::new(tools.collect()))
}
