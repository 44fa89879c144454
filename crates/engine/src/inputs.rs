//! Inputs that tool calls need from people and programs.
//!
//! A call that needs an input makes the engine return [`crate::Outcome::Waiting`]. The service stores the requests, and runs
//! the engine again with the answers ([`crate::Job::answers`]) when all of them are there. A tool can also ask questions in
//! the middle of a call ([`crate::tools::ToolFailure::Asks`]). It then runs again with the replies ([`Continuation`]).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    calls::{CallRunner, Decision, Planned},
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
    /// JSON schema of the call's arguments, or of the values of an answer; `None` if an answer has no values.
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
    /// The question of the tool; `None` if the call has not started.
    pub question: Option<CallQuestion>,
}

/// The questions that a tool asks in the middle of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Questions {
    /// At least one question.
    pub questions: Vec<Question>,
    /// State that the tool needs to continue the call.
    pub state: Option<String>,
    /// Number of rounds of questions of the call, with this one.
    pub round: u32,
}

/// A question that a tool asks in the middle of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The tool's name of the question.
    pub key: String,
    /// The question, for people.
    pub message: String,
    /// JSON schema of the values of the answer: an object.
    pub schema: Value,
}

/// The place of a question in its call.
#[derive(Clone, Debug, PartialEq)]
pub struct CallQuestion {
    /// [`Question::key`].
    pub key: String,
    /// [`Questions::round`].
    pub round: u32,
    /// [`Questions::state`]. Only the first question of a round has it.
    pub state: Option<String>,
}

/// Continues a call after the questions of its tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Continuation {
    /// A reply to each question of the last round, by the key of the question.
    pub replies: BTreeMap<String, Reply>,
    /// State that the tool asked to get back.
    pub state: Option<String>,
    /// Number of rounds so far.
    pub round: u32,
}

/// A reply to a question of a tool.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The values of the answer: a JSON object that matches the schema.
    Accepted(Value),
    /// A person refused to answer.
    Declined,
    /// No answer arrived in time.
    Expired,
}

impl Questions {
    /// The inputs that a call needs for these questions.
    pub(crate) fn of_call(self, tool_call_id: &str, name: &str, arguments: &Value) -> Vec<WaitingCall> {
        let Self {
            questions,
            mut state,
            round,
        } = self;
        let waiting = questions.into_iter().map(|question| WaitingCall {
            tool_call_id: tool_call_id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.clone(),
            ask: Ask {
                kind: AskKind::Question,
                schema: Some(question.schema),
                message: question.message,
            },
            question: Some(CallQuestion {
                key: question.key,
                round,
                state: state.take(),
            }),
        });
        waiting.collect()
    }
}

/// The model reads this if the tool of a call that has started is now missing or not permitted.
const UNAVAILABLE: &str = "interrupted, outcome unknown: the call cannot continue after its questions, because its tool is not \
                           available now. It may have done some of its work. Check before you repeat it.";

/// The answer to the inputs of a call.
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
    /// Continue the call after the questions of its tool.
    Continued {
        /// The arguments of the call, if a person has edited them before it started.
        edited: Option<Value>,
        /// The replies.
        with: Continuation,
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
    pub(crate) fn apply(&self, mut call: Planned, is_first: bool, runner: &CallRunner<'_>) -> Planned {
        match &self.decision {
            CallDecision::Told { text, is_error } => {
                call.plan = Decision::Answered(ToolAnswer {
                    text: text.clone(),
                    is_error: *is_error,
                    ..ToolAnswer::default()
                });
            }
            CallDecision::Approved { edited } | CallDecision::Continued { edited, .. } => {
                if let Some(edited) = edited {
                    call.remark = Some(remark(edited));
                    call.arguments = edited.clone();
                }
                // A refusal by the tool itself still holds.
                if matches!(call.plan, Decision::Ask(_)) {
                    call.plan = runner.after_approval(&call.request.name, &call.arguments);
                }
                if let CallDecision::Continued { with, .. } = &self.decision {
                    call.continuation = Some(with.clone());
                    if !matches!(call.plan, Decision::Run) {
                        call.plan = Decision::Refused(UNAVAILABLE.to_owned());
                    }
                }
                if self.is_consumed && is_first && runner.may_change(&call) {
                    call.plan = Decision::Refused(INTERRUPTED.to_owned());
                }
            }
        }
        call
    }
}

/// Tells the model that a person has edited the arguments of a call.
pub fn remark(edited: &Value) -> String {
    format!("The user changed the arguments of this call to {edited}.")
}
