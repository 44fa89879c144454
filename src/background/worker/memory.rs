//! The memory of a run that a worker executes: its tools, and the memories that the model receives with the prompt.

use std::sync::Arc;

use crate::{
    agents::AgentVersion,
    app::App,
    error::Result,
    llm::ChatMessage,
    memories::{self, RunMemory},
    runs::{Run, RunLog},
    tools::Tool,
    v1::{Notice, NoticeKind, run_event::Event},
};

/// The tools and the memories of a run. Without memory, both are absent.
#[derive(Default)]
pub(super) struct Recalled {
    pub(super) tools: Vec<Arc<dyn Tool>>,
    /// Texts of the memories for the prompt, best match first; `None` without memory.
    pub(super) facts: Option<Vec<String>>,
}

impl Recalled {
    /// Finds the memories for the last user message of `history`, and lists them in a notice.
    pub(super) async fn of(
        app: &App,
        run: &Run,
        agent: Option<&AgentVersion>,
        history: &[ChatMessage],
        log: &Arc<RunLog>,
    ) -> Result<Self> {
        let Some(memory) = RunMemory::of(app, run, agent)? else {
            return Ok(Self::default());
        };
        let last = history.iter().rev().find_map(|message| match message {
            ChatMessage::User { text } => Some(text.as_str()),
            ChatMessage::Assistant { .. } | ChatMessage::Tool { .. } => None,
        });
        let found = memory.for_prompt(last.unwrap_or_default()).await?;
        let facts: Vec<String> = found.into_iter().map(|memory| memory.text).collect();
        if !facts.is_empty() {
            log.say(notice(&facts));
        }
        Ok(Self {
            tools: memories::tools::of_run(&memory),
            facts: Some(facts),
        })
    }
}

fn notice(facts: &[String]) -> Event {
    let heading = match facts.len() {
        1 => "The model received 1 memory:".to_owned(),
        count => format!("The model received {count} memories:"),
    };
    let lines: Vec<String> = facts.iter().map(|fact| format!("\n- {fact}")).collect();
    Event::Notice(Notice {
        kind: NoticeKind::MemoriesUsed.into(),
        message: format!("{heading}{}", lines.concat()),
    })
}
