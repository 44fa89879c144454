//! Ends tool use when a model repeats its mistakes.
//!
//! Tool use ends if a call failed in the previous answer and the same call fails again, and no other call has changed
//! anything in between: the model has not learned from the failure. Two failures of the same call in one answer do not
//! count as a repetition, because the model had not yet seen the first failure. Tool use also ends after
//! [`MAX_MISTAKES`] consecutive invalid calls.

use serde_json::Value;

use super::plan::{Decision, Planned};

/// Number of consecutive calls with invalid arguments or an unknown tool after which tool use ends.
pub const MAX_MISTAKES: u32 = 5;

/// Failed calls of the previous answer (`before`) and of the current answer (`now`), and the number of consecutive
/// invalid calls in the run (`mistakes`).
#[derive(Debug, Default)]
pub(crate) struct Failures {
    before: Vec<(String, Value)>,
    now: Vec<(String, Value)>,
    mistakes: u32,
}

impl Failures {
    /// Starts the next answer: the failed calls of the current answer become those of the previous answer.
    pub(super) fn next_answer(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    /// Counts a failed call. Returns the reason if tool use has to end; otherwise `None`.
    pub(super) fn failed(&mut self, call: &Planned) -> Option<String> {
        match call.plan {
            // A refusal by the engine is not a mistake of the model.
            Decision::Refused(_) => return None,
            Decision::Invalid(_) => self.mistakes += 1,
            Decision::Run => self.mistakes = 0,
        }
        let name = &call.request.name;
        let this = (name.clone(), call.arguments.clone());
        if self.before.contains(&this) {
            return Some(format!(
                "the call to {name} failed twice in a row with the same arguments"
            ));
        }
        self.now.push(this);
        (self.mistakes >= MAX_MISTAKES).then(|| format!("{MAX_MISTAKES} calls in a row were invalid"))
    }

    /// Forgets all failures after a successful call that may have changed something, because the failed calls may now
    /// work.
    pub(super) fn changed(&mut self) {
        self.before.clear();
        self.now.clear();
        self.mistakes = 0;
    }

    /// Resets the number of consecutive invalid calls after a successful read-only call.
    pub(super) fn looked(&mut self) {
        self.mistakes = 0;
    }
}
