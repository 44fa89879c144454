//! Decides when to turn off tools because calls keep failing.
//!
//! Tools are turned off in two cases:
//! - A call fails in two consecutive answers with the same arguments. Within one answer, repeated failures count
//!   once. A successful call that may have changed the workspace clears all failures.
//! - [`MAX_MISTAKES`] consecutive calls are invalid.

use serde_json::Value;

use super::plan::{Decision, Planned};

/// Consecutive invalid calls after which tools are turned off. A call with an unknown tool or invalid arguments is
/// invalid.
pub const MAX_MISTAKES: u32 = 5;

#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// Failed calls in the previous answer: tool names and arguments.
    before: Vec<(String, Value)>,
    /// Failed calls in the current answer.
    now: Vec<(String, Value)>,
    /// Number of consecutive invalid calls.
    mistakes: u32,
}

impl Failures {
    pub(super) fn next_answer(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    /// Counts a failed call. If the tools must be turned off, returns the reason.
    pub(super) fn failed(&mut self, call: &Planned) -> Option<String> {
        match call.plan {
            // Refusals by the engine and answers of people are not mistakes of the model.
            Decision::Refused(_) | Decision::Answered(_) | Decision::Ask(_) => return None,
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

    /// Clears all failures after a successful call that may have changed the workspace, because failed calls may now
    /// succeed.
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
