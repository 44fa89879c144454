//! Inputs that tool calls need from people and programs.
//!
//! A call that needs an input makes the engine return [`crate::Outcome::Waiting`]. The service stores the requests, and runs
//! the engine again with the answers ([`crate::Job::answers`]) when all of them are there.

use serde_json::Value;

use crate::{
    calls::{Decision, Planned},
    history::INTERRUPTED,
    tools::ToolAnswer,
};

/// Kind of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskKind {
    /// Permission to run the call.
    Approval,
    /// Result of a tool that the client runs.
    ClientTool,
    /// Answer to a question.
    Question,
    /// Result of a subagent.
    Task,
}

/// A request for an input of a tool call.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// Kind of the input.
    pub kind: AskKind,
    /// JSON schema of the call's arguments; `None` if they cannot be edited.
    pub schema: Option<Value>,
    /// Sentence for people that says what the call needs.
    pub message: String,
}

/// A tool call that waits for an input.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitingCall {
    /// Id of the call.
    pub tool_call_id: String,
    /// Name of the tool.
    pub name: String,
    /// Arguments of the call: a JSON object.
    pub arguments: Value,
    /// The request for the input.
    pub ask: Ask,
}

/// The answer to a [`WaitingCall`].
#[derive(Clone, Debug, PartialEq)]
pub struct CallAnswer {
    /// Id of the call.
    pub tool_call_id: String,
    /// True if an earlier worker has recorded that it continues with this answer. It may have started the call.
    pub is_consumed: bool,
    /// The decision about the call.
    pub decision: CallDecision,
}

/// The decision about a call that needed an input.
#[derive(Clone, Debug, PartialEq)]
pub enum CallDecision {
    /// Run the call, with other arguments if they were edited.
    Approved {
        /// The edited arguments: a JSON object.
        edited: Option<Value>,
    },
    /// The call has this result; the engine does not run it.
    Told {
        /// Text for the model.
        text: String,
        /// True if the call failed or was denied.
        is_error: bool,
    },
}

impl CallAnswer {
    /// Applies the decision to a call. `is_first` is true if no earlier call of the answer lacks a result: only then
    /// can an earlier worker have started a call that changes something.
    pub(crate) fn apply(&self, mut call: Planned, is_first: bool, may_change: impl Fn(&Planned) -> bool) -> Planned {
        match &self.decision {
            CallDecision::Told { text, is_error } => {
                call.plan = Decision::Answered(ToolAnswer {
                    text: text.clone(),
                    is_error: *is_error,
                    ..ToolAnswer::default()
                });
            }
            CallDecision::Approved { edited } => {
                if let Some(edited) = edited {
                    call.remark = Some(format!("The user changed the arguments of this call to {edited}."));
                    call.arguments = edited.clone();
                }
                // A refusal by the tool itself still holds.
                if matches!(call.plan, Decision::Ask(_)) {
                    call.plan = Decision::Run;
                }
                if self.is_consumed && is_first && may_change(&call) {
                    call.plan = Decision::Refused(INTERRUPTED.to_owned());
                }
            }
        }
        call
    }
}
