//! The tools of the MCP servers of a run's agent. A server that cannot be used costs the run one notice.

use std::sync::Arc;

use crate::{
    agents::AgentVersion,
    app::App,
    error::Result,
    mcp::{self, Place},
    projects::OnDemand,
    runs::RunLog,
    tools::Tool,
    v1::{Notice, NoticeKind, run_event::Event},
};

pub(in super::super) async fn tools(
    app: &App,
    agent: Option<&AgentVersion>,
    workplace: &Arc<OnDemand>,
    log: &Arc<RunLog>,
) -> Result<Vec<Arc<dyn Tool>>> {
    let Some(agent) = agent else { return Ok(Vec::new()) };
    let offer = mcp::offer(app, agent, &Place::Project(Arc::clone(workplace) as _)).await?;
    for failure in &offer.failures {
        let message = format!(
            "The tools of MCP server {:?} are missing from this run: {}.",
            failure.server, failure.reason
        );
        notify(log, &message);
    }
    for note in &offer.notes {
        notify(log, note);
    }
    Ok(offer.tools.into_iter().map(|tool| tool as Arc<dyn Tool>).collect())
}

fn notify(log: &Arc<RunLog>, message: &str) {
    log.say(Event::Notice(Notice {
        kind: NoticeKind::Other.into(),
        // The message may quote a server, so it may contain NUL, which the database cannot store.
        message: crate::contract::structs::without_nul(message),
    }));
}
