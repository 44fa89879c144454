//! When a model repeats its mistakes: tool use ends.
//!
//! A call that fails as a call of the answer before did, with nothing changed in between, shows that the model does not
//! learn from the failure. The same call twice in one answer shows nothing: the model had not seen the first one fail.

use serde_json::Value;

use super::plan::{Plan, Planned};

/// Calls in a row with arguments that do not fit, or to tools that do not exist, before tool use ends.
pub const MAX_MISTAKES: u32 = 5;

/// Failures in a row, over all answers of the run.
#[derive(Debug, Default)]
pub(in crate::engine) struct Failures {
    before: Vec<(String, Value)>,
    now: Vec<(String, Value)>,
    mistakes: u32,
}

impl Failures {
    /// The calls that follow are of another answer.
    pub(super) fn next_answer(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    /// A call has failed; says why tool use has to end, if it has.
    pub(super) fn failed(&mut self, call: &Planned) -> Option<String> {
        match call.plan {
            // Our doing, not the model's.
            Plan::Refused(_) => return None,
            Plan::Mistaken(_) => self.mistakes += 1,
            Plan::Run => self.mistakes = 0,
        }
        let name = &call.request.name;
        let this = (name.clone(), call.arguments.clone());
        if self.before.contains(&this) {
            return Some(format!(
                "the call of {name} failed twice in a row with the same arguments"
            ));
        }
        self.now.push(this);
        (self.mistakes >= MAX_MISTAKES).then(|| format!("{MAX_MISTAKES} calls in a row were invalid"))
    }

    /// A call that may change something has succeeded: what failed may work now.
    pub(super) fn changed(&mut self) {
        self.before.clear();
        self.now.clear();
        self.mistakes = 0;
    }

    /// A call that only looks has succeeded.
    pub(super) fn looked(&mut self) {
        self.mistakes = 0;
    }
}
