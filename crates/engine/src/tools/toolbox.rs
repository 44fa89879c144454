//! The tools of a run, with compiled schemas.
//!
//! All runs share the built-in tools, because compiling schemas is slow. A run can add its own tools.

use std::sync::{Arc, LazyLock, OnceLock};

use jsonschema::Validator;
use runyard_contract::error::Code;
use serde_json::Value;

use super::{
    Effect, Gate, Tool, bash, bash::Bash, bash_kill::BashKill, bash_output::BashOutput, edit::Edit, glob::Glob,
    grep::Grep, read::Read, write::Write,
};
use crate::{
    error::{Error, Result},
    inputs::AskKind,
    llm::ToolSpec,
    schema,
};

/// Decides whether a call may run, for any tool. The arguments match the schema.
pub type Guard = Arc<dyn Fn(&ToolSpec, &Value) -> Gate + Send + Sync>;

/// A set of tools with unique names.
pub struct Toolbox {
    slots: Vec<Arc<Slot>>,
    guard: Option<Guard>,
    spec_bytes: usize,
}

pub struct Slot {
    /// Call the tool only with arguments that [`Slot::check`] accepts.
    pub tool: Arc<dyn Tool>,
    pub spec: ToolSpec,
    validator: OnceLock<Option<Validator>>,
}

impl Toolbox {
    /// Returns the tools of one run: the shared tools and the run's own tools.
    ///
    /// # Errors
    /// `CONFLICT` if two tools have the same name.
    pub fn for_run(shared: Arc<Self>, extra: Vec<Arc<dyn Tool>>) -> Result<Arc<Self>> {
        if extra.is_empty() {
            return Ok(shared);
        }
        let mut slots = shared.slots.clone();
        for tool in extra {
            let slot = Slot::new(tool);
            let name = &slot.spec.name;
            if slots.iter().any(|other| other.spec.name == *name) {
                let message = format!("two tools are named {name}; rename or remove one of them");
                return Err(Error::new(Code::Conflict, message));
            }
            slots.push(slot);
        }
        Ok(Arc::new(Self::of(slots)))
    }

    /// Returns the tools whose names `keep` accepts.
    #[must_use]
    pub fn only(self: &Arc<Self>, keep: impl Fn(&str) -> bool) -> Arc<Self> {
        let kept = self.slots.iter().filter(|slot| keep(&slot.spec.name));
        let kept: Vec<_> = kept.cloned().collect();
        if kept.len() == self.slots.len() {
            return Arc::clone(self);
        }
        Arc::new(Self::of(kept))
    }

    /// Returns the same tools with a guard. The guard can refuse any call. It can let a call wait for an approval, unless
    /// people or clients give its result anyway.
    #[must_use]
    pub fn guarded(&self, guard: Guard) -> Arc<Self> {
        Arc::new(Self {
            slots: self.slots.clone(),
            guard: Some(guard),
            spec_bytes: self.spec_bytes,
        })
    }

    /// Decides whether a call of one of the tools may run. The arguments match the schema.
    pub fn gate(&self, slot: &Slot, arguments: &Value) -> Gate {
        let guard = self.guard.as_ref();
        let guarded = guard.map_or(Gate::Open, |guard| guard(&slot.spec, arguments));
        match (guarded, slot.tool.gate(arguments)) {
            (Gate::Closed(told), _) => Gate::Closed(told),
            (guarded, Gate::Open) => guarded,
            // The subagent starts after the approval.
            (Gate::Ask(approval), Gate::Ask(own)) if own.kind == AskKind::Task => Gate::Ask(approval),
            (_, own) => own,
        }
    }

    fn of(slots: Vec<Arc<Slot>>) -> Self {
        let spec_bytes = slots
            .iter()
            .map(|slot| &slot.spec)
            .map(|spec| spec.name.len() + spec.description.len() + spec.parameters.to_string().len())
            .sum();
        Self {
            slots,
            guard: None,
            spec_bytes,
        }
    }

    /// Returns the specs of all tools.
    pub fn specs(&self) -> Vec<ToolSpec> {
        self.slots.iter().map(|slot| slot.spec.clone()).collect()
    }

    /// Returns the size of all specs in bytes. The engine estimates their tokens from this size.
    pub fn spec_bytes(&self) -> usize {
        self.spec_bytes
    }

    /// Returns the names in the order of [`Toolbox::specs`].
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().map(|slot| slot.spec.name.as_str())
    }

    /// Returns the tool with this name.
    pub fn find(&self, name: &str) -> Option<&Slot> {
        self.slots
            .iter()
            .map(|slot| &**slot)
            .find(|slot| slot.spec.name == name)
    }

    /// Returns whether there are no tools.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

impl Slot {
    fn new(tool: Arc<dyn Tool>) -> Arc<Self> {
        Arc::new(Self {
            spec: tool.spec(),
            tool,
            validator: OnceLock::new(),
        })
    }

    pub fn effect(&self) -> Effect {
        self.tool.effect()
    }

    /// Checks arguments against the schema.
    ///
    /// # Errors
    /// Up to five schema errors as text for the model.
    pub fn check(&self, arguments: &Value) -> Result<(), String> {
        // If the schema does not compile, only the tool's own deserialization checks the arguments.
        let validator = self
            .validator
            .get_or_init(|| jsonschema::validator_for(&self.spec.parameters).ok());
        let Some(validator) = validator else { return Ok(()) };
        schema::check(validator, arguments)
    }
}

static CORE: LazyLock<Arc<Toolbox>> = LazyLock::new(|| {
    let tools: [Arc<dyn Tool>; 6] = [
        Arc::new(Bash),
        Arc::new(Read),
        Arc::new(Write),
        Arc::new(Edit),
        Arc::new(Glob),
        Arc::new(Grep),
    ];
    Arc::new(Toolbox::of(tools.map(Slot::new).into()))
});
static BUILT_IN: LazyLock<Arc<Toolbox>> = LazyLock::new(|| {
    let followers: [Arc<dyn Tool>; FOLLOWERS.len()] = [Arc::new(BashOutput), Arc::new(BashKill)];
    let followers = followers.map(Slot::new);
    Arc::new(Toolbox::of(CORE.slots.iter().cloned().chain(followers).collect()))
});
/// Names of the tools that a run has if it has `bash`.
const FOLLOWERS: [&str; 2] = ["bash_output", "bash_kill"];
static NONE: LazyLock<Arc<Toolbox>> = LazyLock::new(|| Arc::new(Toolbox::of(Vec::new())));

/// Returns the core tools: bash, read, write, edit, glob and grep.
pub fn core() -> Arc<Toolbox> {
    Arc::clone(&CORE)
}

/// Returns the core tools, and the tools that belong to `bash`: `bash_output` and `bash_kill`.
pub fn built_in() -> Arc<Toolbox> {
    Arc::clone(&BUILT_IN)
}

/// Returns the name of the tool whose settings decide about the tool `name`: `bash` for the tools that belong to it, and
/// the tool itself otherwise.
pub fn leader(name: &str) -> &str {
    if FOLLOWERS.contains(&name) { bash::NAME } else { name }
}

/// Returns a toolbox without tools, for the mode "chat".
pub fn none() -> Arc<Toolbox> {
    Arc::clone(&NONE)
}
