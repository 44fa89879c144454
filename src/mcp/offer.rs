//! Lists the tools of MCP servers: for a run, for a preview of the tools of an agent's runs, and for a trial of one
//! server.

use std::{collections::BTreeSet, sync::Arc};

use futures::future::join_all;
use runyard_mcp::{Names, ToolList, adapted};
use uuid::Uuid;

use super::{
    remote::{Place, Remote},
    tool::McpTool,
};
use crate::{
    accounts::Caller,
    agents::{
        self, AgentVersion,
        mcp::{self as settings, Server, headers},
        version::servers,
    },
    app::App,
    error::Result,
};

/// Maximum number of tools that a run gets from all servers together. Model providers accept up to 128 tools.
const MAX_TOOLS: usize = 100;
/// Maximum total size of the tools' descriptions and schemas in bytes. The model reads all of this in every call.
const MAX_SPEC_BYTES: usize = 256 * 1024;

/// The result of listing the tools of one or more servers.
#[derive(Default)]
pub struct Offer {
    /// The names are unique.
    pub tools: Vec<Arc<McpTool>>,
    /// The servers that cannot be used.
    pub failures: Vec<Failure>,
    /// Other messages for the owner of the agent, one sentence each.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub server: String,
    /// Reason, for the owner of the agent.
    pub reason: String,
}

pub struct Servers {
    pub account_id: Uuid,
    pub version_id: Uuid,
    pub servers: Vec<Server>,
}

/// Lists the tools of all servers of a version in parallel.
pub async fn offer(app: &App, of: Servers, place: &Place) -> Offer {
    let version_id = Some(of.version_id);
    let remote = |server| Arc::new(Remote::new(app, of.account_id, version_id, server, place.clone()));
    Offer::of(of.servers.into_iter().map(remote).collect()).await
}

/// Lists the tools that a run of the version would have. Stdio servers start in a sandbox with an empty workspace.
///
/// # Errors
/// UNAVAILABLE if too many previews and trials of the account wait; INTERNAL if the stored servers cannot be decoded.
pub async fn preview(app: &App, caller: &Caller, version: &AgentVersion) -> Result<Offer> {
    let _turn = app.mcp.trials.take(caller.account_id).await?;
    let servers = Servers {
        account_id: version.account_id,
        version_id: version.id,
        servers: servers(version)?,
    };
    Ok(offer(app, servers, &Place::Empty).await)
}

/// Connects to a server and lists its tools. For a header with the placeholder `***`, the value comes from the
/// agent's current version.
///
/// # Errors
/// INVALID_REQUEST if the server's settings are invalid; `AGENT_NOT_FOUND`; UNAVAILABLE if too many previews and trials
/// of the account wait.
pub async fn try_out(app: &App, caller: &Caller, server: Server, agent_id: Option<Uuid>) -> Result<Offer> {
    let mut servers = vec![server];
    settings::check(app, "server", &servers)?;
    let stored = match agent_id {
        Some(agent_id) => {
            let agent = agents::load(app.db.read(), caller.scope(), agent_id).await?;
            agents::version::servers(&agent.version)?
        }
        None => Vec::new(),
    };
    headers::seal(&app.secrets, caller.account_id, &mut servers, &stored)?;
    let _turn = app.mcp.trials.take(caller.account_id).await?;
    let remote = |server| Arc::new(Remote::new(app, caller.account_id, None, server, Place::Empty));
    Ok(Offer::of(servers.into_iter().map(remote).collect()).await)
}

impl Offer {
    async fn of(remotes: Vec<Arc<Remote>>) -> Self {
        let lists = join_all(remotes.iter().map(|remote| remote.tools())).await;
        let (mut offer, mut room) = (Self::default(), Room::default());
        for (remote, list) in remotes.iter().zip(lists) {
            match list {
                Ok(list) => offer.add(remote, &list, &mut room),
                Err(reason) => offer.failures.push(Failure {
                    server: remote.server().name.clone(),
                    reason,
                }),
            }
        }
        offer
    }

    fn add(&mut self, remote: &Arc<Remote>, list: &ToolList, room: &mut Room) {
        let Server {
            name: server,
            enabled_tools,
            ..
        } = remote.server();
        let mut missing: BTreeSet<&str> = enabled_tools.iter().map(String::as_str).collect();
        let mut left_out = 0;
        for listed in &list.tools {
            let is_enabled = missing.remove(listed.name.as_str()) || enabled_tools.is_empty();
            if !is_enabled {
                continue;
            }
            let parameters = adapted(&listed.schema);
            let bytes = listed.description.len() + parameters.to_string().len();
            if self.tools.len() == MAX_TOOLS || room.bytes + bytes > MAX_SPEC_BYTES {
                left_out += 1;
                continue;
            }
            room.bytes += bytes;
            let name = room.names.give(server, &listed.name);
            self.tools
                .push(Arc::new(McpTool::new(remote, listed, name, parameters)));
        }
        if left_out > 0 || list.is_cut {
            self.notes.push(format!(
                "MCP server {server:?} has more tools than a run can have; select some of them in enabled_tools."
            ));
        }
        if !missing.is_empty() {
            let missing: Vec<&str> = missing.into_iter().collect();
            let missing = missing.join(", ");
            self.notes.push(format!(
                "MCP server {server:?} has no tools with these names from enabled_tools: {missing}."
            ));
        }
    }
}

/// The names of the tools in an [`Offer`], and the total size of their descriptions and schemas.
#[derive(Default)]
struct Room {
    names: Names,
    bytes: usize,
}
