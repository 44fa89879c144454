//! Reads `StartRun` requests.

use crate::{
    contract::structs,
    error::{Error, Result},
    id,
    llm::ReasoningEffort,
    runs::{
        IfBusy, NewRun,
        options::{ClientTool, RunBudget, RunOptions},
    },
    v1,
};

/// Maximum budget of a run in credits: ten million US dollars.
const MAX_CREDITS: f64 = 1e9;

pub(super) fn new_run(asked: v1::StartRunRequest) -> Result<NewRun> {
    // The API documentation defines the error for missing ids, so this check comes before the ids are parsed.
    if asked.optimistic && (asked.thread_id.is_empty() || asked.project_id.is_empty()) {
        return Err(Error::invalid("thread_id and project_id required for optimistic mode"));
    }
    let if_busy = match asked.if_busy() {
        v1::IfBusy::Unspecified | v1::IfBusy::Enqueue => IfBusy::Enqueue,
        v1::IfBusy::Reject => IfBusy::Reject,
        v1::IfBusy::Interrupt => IfBusy::Interrupt,
    };
    let reasoning_effort = match asked.reasoning_effort.as_str() {
        "" => None,
        name => Some(ReasoningEffort::find(name).ok_or_else(|| {
            let names = ReasoningEffort::ALL.map(ReasoningEffort::as_str).join(", ");
            Error::invalid_field("reasoning_effort", format!("reasoning_effort must be one of {names}"))
        })?),
    };
    let present = |text: String| if text.is_empty() { None } else { Some(text) };
    let budget = budget(&asked)?;
    Ok(NewRun {
        prompt: asked.prompt,
        thread_id: id::parse_optional("thread_id", &asked.thread_id)?,
        project_id: id::parse_optional("project_id", &asked.project_id)?,
        optimistic: asked.optimistic,
        agent_id: id::parse_optional("agent_id", &asked.agent_id)?,
        model: present(asked.model_name),
        mode: asked.mode,
        memory_enabled: asked.memory_enabled,
        reasoning_effort,
        files: asked
            .files
            .iter()
            .map(|file| id::parse("files", file))
            .collect::<Result<_>>()?,
        request_key: present(asked.request_id),
        if_busy,
        options: RunOptions {
            budget,
            tools: asked.tools.into_iter().map(client_tool).collect(),
            output_schema: asked.output_schema.as_ref().map(structs::to_json),
            trace: None,
        },
        parent: None,
    })
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn budget(asked: &v1::StartRunRequest) -> Result<RunBudget> {
    let positive = |field: &'static str, number: Option<i32>| {
        let positive = number.map(|number| u32::try_from(number).ok().filter(|number| *number > 0));
        match positive {
            Some(None) => Err(Error::invalid_field(field, format!("{field} must be at least 1"))),
            Some(number) => Ok(number),
            None => Ok(None),
        }
    };
    let credits = asked.max_credits;
    if credits.is_some_and(|credits| !(credits > 0.0 && credits <= MAX_CREDITS)) {
        let message = format!("max_credits must be greater than 0 and at most {MAX_CREDITS}");
        return Err(Error::invalid_field("max_credits", message));
    }
    Ok(RunBudget {
        max_steps: positive("max_steps", asked.max_steps)?,
        max_seconds: positive("max_seconds", asked.max_seconds)?,
        max_microcredits: credits.map(|credits| (credits * 1_000_000.0).ceil() as i64),
    })
}

fn client_tool(asked: v1::ClientTool) -> ClientTool {
    ClientTool {
        name: asked.name,
        description: asked.description,
        parameters: asked.parameters.as_ref().map(structs::to_json),
    }
}
