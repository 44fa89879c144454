//! The memory of a run: its tools, and the memories that the model receives with the prompt.

use std::sync::Arc;

use super::{Extra, notice};
use crate::{
    agents::{memory::NAMES, tools::Access, version::Instructions},
    app::App,
    error::Result,
    events,
    llm::ChatMessage,
    memories::{self, RunMemory, section::section},
    runs::{Run, RunLog},
    v1::{NoticeKind, run_event::Event},
};

/// Adds the memory tools. Also adds the memories that the model receives with the last user message of `history`, and
/// a notice that lists them; a resumed run does not repeat the notice. A run that may use none of the tools has no memory.
pub(in super::super) async fn add(
    app: &App,
    run: &Run,
    agent: &Instructions,
    access: Access<'_>,
    history: &[ChatMessage],
    log: &Arc<RunLog>,
    extra: &mut Extra,
) -> Result<()> {
    let memory = RunMemory::of(app, run, agent.memory);
    let Some(memory) = memory.filter(|_| NAMES.iter().any(|name| access.allows(name))) else {
        return Ok(());
    };
    let last = history.iter().rev().find_map(|message| match message {
        ChatMessage::User { text, .. } => Some(text.as_str()),
        ChatMessage::Assistant { .. } | ChatMessage::Tool { .. } => None,
    });
    let found = memory.for_prompt(last.unwrap_or_default()).await?;
    let facts: Vec<String> = found.into_iter().map(|memory| memory.text).collect();
    if !facts.is_empty() {
        let notice = notice(NoticeKind::MemoriesUsed, &listed(&facts));
        // An earlier worker of the run may have shown the same memories.
        if run.lease_epoch <= 1 || !events::starts_with(app.db.read(), run.id, &notice).await? {
            log.say(Event::Notice(notice));
        }
    }
    extra.tools.extend(memories::tools::of_run(&memory));
    extra.sections.push(section(&facts, |name| access.allows(name)));
    Ok(())
}

fn listed(facts: &[String]) -> String {
    let heading = match facts.len() {
        1 => "The model received 1 memory:".to_owned(),
        count => format!("The model received {count} memories:"),
    };
    let lines: Vec<String> = facts.iter().map(|fact| format!("\n- {fact}")).collect();
    format!("{heading}{}", lines.concat())
}
