//! Decides when to turn off tools because the model's calls keep failing.
//!
//! Tools are turned off in two cases:
//! - A call fails in two consecutive answers with the same arguments. Repeated failures within one answer count once,
//!   because the model has not yet received the first result. After a successful call that may have changed the
//!   workspace, all earlier failures are forgotten.
//! - [`MAX_MISTAKES`] consecutive calls are invalid.

use serde_json::Value;

use super::plan::{Decision, Planned};

/// Number of consecutive invalid calls after which tools are turned off. A call is invalid if its tool is unknown or
/// its arguments are invalid.
pub const MAX_MISTAKES: u32 = 5;

#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// Failed calls of the previous answer: tool names and arguments.
    before: Vec<(String, Value)>,
    /// Failed calls of the current answer.
    now: Vec<(String, Value)>,
    /// Number of consecutive invalid calls.
    mistakes: u32,
}

impl Failures {
    pub(super) fn next_answer(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    /// Counts a failed call. Returns the reason if the tools must be turned off.
    pub(super) fn failed(&mut self, call: &Planned) -> Option<String> {
        match call.plan {
            // Refusals by the engine do not count.
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

    /// Clears all failures after a successful call that may have changed the workspace, because the failed calls may
    /// now succeed.
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
