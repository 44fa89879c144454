//! Applies the approvals of a run's agent to its tools.

use std::sync::Arc;

use crate::{
    agents::approvals::{Approvals, Decision, command},
    engine::inputs::{Ask, AskKind},
    runs::inputs::Allowance,
    tools::{Gate, Guard, Toolbox},
};

/// Maximum length of a command in the message of an input, in bytes. The arguments contain the whole command.
const MAX_COMMAND: usize = 500;

/// `allowances` are the calls of the thread that a person has approved for good.
pub(in super::super) fn guard(tools: Arc<Toolbox>, approvals: Approvals, allowances: Vec<Allowance>) -> Arc<Toolbox> {
    if approvals.rules.is_empty() {
        return tools;
    }
    let guard: Guard = Arc::new(move |spec, arguments| match approvals.decide(&spec.name, arguments) {
        Decision::Auto => Gate::Open,
        Decision::Deny => Gate::Closed(
            "not run: the settings of this agent deny this call; do not try to reach the same in another way"
                .to_owned(),
        ),
        Decision::Ask
            if allowances
                .iter()
                .any(|allowance| allowance.covers(&spec.name, arguments)) =>
        {
            Gate::Open
        }
        Decision::Ask => Gate::Ask(Ask {
            kind: AskKind::Approval,
            schema: Some(spec.parameters.clone()),
            message: message(&spec.name, command(arguments)),
        }),
    });
    tools.guarded(guard)
}

fn message(tool: &str, command: &str) -> String {
    if command.is_empty() {
        return format!("The agent wants to call the tool {tool}.");
    }
    let end = command.floor_char_boundary(MAX_COMMAND);
    let cut = if end < command.len() { "…" } else { "" };
    format!("The agent wants to run: {}{cut}", &command[..end])
}
