//! The tools of the MCP servers of a run's agent. If a server fails, the run gets a notice and continues without the
//! server's tools.

use std::sync::Arc;

use super::{Extra, notify};
use crate::{
    agents::version::Instructions,
    app::App,
    mcp::{self, Place, Servers},
    projects::OnDemand,
    runs::{Run, RunLog},
    tools::Tool,
    v1::NoticeKind,
};

pub(in super::super) async fn add(
    app: &App,
    run: &Run,
    agent: &Instructions,
    workplace: &Arc<OnDemand>,
    log: &Arc<RunLog>,
    extra: &mut Extra,
) {
    let Some(version_id) = agent.version_id else {
        return;
    };
    let servers = Servers {
        account_id: run.account_id,
        version_id,
        servers: agent.servers.clone(),
    };
    let offer = mcp::offer(app, servers, &Place::Project(Arc::clone(workplace) as _)).await;
    for failure in &offer.failures {
        let message = format!(
            "The tools of MCP server {:?} are missing from this run: {}.",
            failure.server, failure.reason
        );
        notify(log, NoticeKind::Other, &message);
    }
    for note in &offer.notes {
        notify(log, NoticeKind::Other, note);
    }
    extra
        .tools
        .extend(offer.tools.into_iter().map(|tool| tool as Arc<dyn Tool>));
}
