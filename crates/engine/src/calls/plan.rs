//! Decides whether a tool call is run or gets an error result.

use serde_json::Value;

use super::CallRunner;
use crate::{
    answer::ReceivedCall,
    inputs::{Ask, Continuation},
    llm::ToolRequest,
    tools::{Effect, Gate, ToolAnswer},
};

#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) request: ToolRequest,
    pub(crate) arguments: Value,
    pub(crate) plan: Decision,
    /// Text before the result, for the model.
    pub(crate) remark: Option<String>,
    /// Continues the call after the questions of its tool.
    pub(crate) continuation: Option<Continuation>,
}

impl Planned {
    pub(crate) fn told(request: ToolRequest, told: String) -> Self {
        Self {
            request,
            arguments: Value::Null,
            plan: Decision::Refused(told),
            remark: None,
            continuation: None,
        }
    }

    pub(crate) fn asks(&self) -> bool {
        matches!(self.plan, Decision::Ask(_))
    }
}

#[derive(Debug)]
pub(crate) enum Decision {
    Run,
    /// The run waits for an input before it continues with this call.
    Ask(Ask),
    /// An input was the result of the call.
    Answered(ToolAnswer),
    /// The call is invalid and is not run. The text explains the error to the model.
    Invalid(String),
    /// The engine refuses to run the call. The text explains the reason to the model.
    Refused(String),
}

impl CallRunner<'_> {
    /// Validates a call's arguments and decides whether the call is run. Arguments that are not a JSON object are
    /// kept as a string.
    pub(crate) fn plan(&self, heard: ReceivedCall) -> Planned {
        let ReceivedCall { request, refusal } = heard;
        let (arguments, checked) = match read_arguments(&request.arguments) {
            Ok(arguments) => {
                let checked = self.check(&request.name, &arguments);
                (arguments, checked)
            }
            Err(told) => {
                let checked = self.check_name(&request.name).and(Err(told));
                (Value::String(request.arguments.clone()), checked)
            }
        };
        let plan = match (refusal, checked) {
            (Some(told), _) => Decision::Refused(told),
            (None, Ok(())) => self.gate(&request.name, &arguments),
            (None, Err(told)) => Decision::Invalid(told),
        };
        Planned {
            request,
            arguments,
            plan,
            remark: None,
            continuation: None,
        }
    }

    fn gate(&self, name: &str, arguments: &Value) -> Decision {
        let gate = self.tools.find(name).map(|slot| self.tools.gate(slot, arguments));
        match gate {
            None | Some(Gate::Open) => Decision::Run,
            Some(Gate::Ask(ask)) => Decision::Ask(ask),
            Some(Gate::Closed(told)) => Decision::Refused(told),
        }
    }

    /// Decides about a call that a person has approved. Some tools then need another input.
    pub(crate) fn after_approval(&self, name: &str, arguments: &Value) -> Decision {
        match self.tools.find(name).map(|slot| slot.tool.gate(arguments)) {
            None | Some(Gate::Open) => Decision::Run,
            Some(Gate::Ask(ask)) => Decision::Ask(ask),
            Some(Gate::Closed(told)) => Decision::Refused(told),
        }
    }

    fn check_name(&self, name: &str) -> Result<(), String> {
        if self.tools.find(name).is_some() {
            return Ok(());
        }
        let names: Vec<&str> = self.tools.names().collect();
        Err(format!(
            "there is no tool named {name:?}; the tools are {}",
            names.join(", ")
        ))
    }

    fn check(&self, name: &str, arguments: &Value) -> Result<(), String> {
        self.check_name(name)?;
        match self.tools.find(name).map(|slot| slot.check(arguments)) {
            Some(Err(mistakes)) => Err(format!("the arguments do not match the schema of {name}: {mistakes}")),
            _ => Ok(()),
        }
    }

    pub(crate) fn may_change(&self, call: &Planned) -> bool {
        matches!(call.plan, Decision::Run)
            && self
                .tools
                .find(&call.request.name)
                .is_some_and(|slot| slot.effect() == Effect::Changes)
    }
}

/// Accepts a JSON object, a JSON string that contains a JSON object, or an empty text. The error is a message for the
/// model.
fn read_arguments(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let value: Value =
        serde_json::from_str(text).map_err(|error| format!("the arguments are not valid JSON: {error}"))?;
    let value = match value {
        Value::String(inner) => serde_json::from_str(&inner).unwrap_or(Value::String(inner)),
        value => value,
    };
    if value.is_object() {
        Ok(value)
    } else {
        Err("the arguments must be a JSON object".to_owned())
    }
}
