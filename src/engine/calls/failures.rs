//! Ends tool use when a model repeats its mistakes.
//!
//! If a call failed in the previous answer and the same call fails again, with no change in between, the model has not
//! learned from the failure. The same call twice in one answer is not counted: the model had not yet seen the first
//! failure.

use serde_json::Value;

use super::plan::{Decision, Planned};

/// Maximum number of consecutive calls with invalid arguments or unknown tools before tool use ends.
pub const MAX_MISTAKES: u32 = 5;

/// Consecutive failures, across all answers of the run.
#[derive(Debug, Default)]
pub(in crate::engine) struct Failures {
    before: Vec<(String, Value)>,
    now: Vec<(String, Value)>,
    mistakes: u32,
}

impl Failures {
    /// Starts counting the calls of another answer.
    pub(super) fn next_answer(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    /// Counts a failed call. Returns why tool use has to end, if it has to.
    pub(super) fn failed(&mut self, call: &Planned) -> Option<String> {
        match call.plan {
            // Refused by the engine, not a mistake of the model.
            Decision::Refused(_) => return None,
            Decision::Invalid(_) => self.mistakes += 1,
            Decision::Run => self.mistakes = 0,
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

    /// Counts a successful call that may have changed something: failed calls may work now.
    pub(super) fn changed(&mut self) {
        self.before.clear();
        self.now.clear();
        self.mistakes = 0;
    }

    /// Counts a successful read-only call.
    pub(super) fn looked(&mut self) {
        self.mistakes = 0;
    }
}
