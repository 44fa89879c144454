//! `AgentService`: messages in, one verb, messages out.

use std::collections::BTreeMap;

use tonic::{Request, Response, Status};

use super::{caller, later, page::Page, traits::runyard::v1::agent_service_server::AgentService};
use crate::{
    agents::{self, Agent, Listing, NewAgent, Order, mcp, tools},
    app::App,
    error::{Error, Result},
    events::timestamp,
    id, v1,
};

/// The service.
#[derive(Clone)]
pub struct Agents {
    pub(super) app: App,
}

#[tonic::async_trait]
impl AgentService for Agents {
    async fn create_agent(&self, request: Request<v1::CreateAgentRequest>) -> Result<Response<v1::Agent>, Status> {
        let caller = caller::of(&request)?;
        let new = new_agent(request.into_inner())?;
        let app = self.app.clone();
        let made = super::finish(async move { agents::create(&app, &caller, new).await });
        let agent = made.await.map_err(|error| error.doing("Failed to create agent"))?;
        Ok(Response::new(shown(agent)?))
    }

    async fn list_agents(
        &self,
        request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        let caller = caller::of(&request)?;
        let asked = request.into_inner();
        let query = format!(
            "agents {:?} {:?} {:?} {:?}",
            asked.search, asked.order_by, asked.is_default, asked.tag
        );
        let page = Page::read(&caller, &query, asked.page_size, &asked.page_token)?;
        if asked.search.contains('\0') || asked.tag.contains('\0') {
            return Err(Error::invalid("search and tag must not contain the character NUL").into());
        }
        let offset = page.offset()?;
        let listing = Listing {
            search: asked.search,
            is_default: asked.is_default,
            tag: asked.tag,
            order: order(&asked.order_by)?,
            offset,
            limit: page.limit(),
        };
        let mut rows = agents::list(self.app.db.read(), caller.scope(), &listing).await?;
        let next = offset + page.size as u64;
        let next_page_token = page.cut(&mut rows, |_| next.to_be_bytes().to_vec());
        let agents = rows.into_iter().map(shown).collect::<Result<_>>()?;
        Ok(Response::new(v1::ListAgentsResponse {
            agents,
            next_page_token,
        }))
    }

    async fn get_agent(&self, request: Request<v1::GetAgentRequest>) -> Result<Response<v1::Agent>, Status> {
        let caller = caller::of(&request)?;
        let agent_id = id::parse("agent_id", &request.get_ref().agent_id)?;
        let agent = agents::load(self.app.db.read(), caller.scope(), agent_id).await?;
        Ok(Response::new(shown(agent)?))
    }

    async fn update_agent(&self, request: Request<v1::UpdateAgentRequest>) -> Result<Response<v1::Agent>, Status> {
        later(&request)
    }

    async fn delete_agent(&self, request: Request<v1::DeleteAgentRequest>) -> Result<Response<()>, Status> {
        later(&request)
    }

    async fn generate_agent_icon(
        &self,
        request: Request<v1::GenerateAgentIconRequest>,
    ) -> Result<Response<v1::GenerateAgentIconResponse>, Status> {
        later(&request)
    }

    async fn list_agent_versions(
        &self,
        request: Request<v1::ListAgentVersionsRequest>,
    ) -> Result<Response<v1::ListAgentVersionsResponse>, Status> {
        later(&request)
    }

    async fn create_agent_version(
        &self,
        request: Request<v1::CreateAgentVersionRequest>,
    ) -> Result<Response<v1::AgentVersion>, Status> {
        later(&request)
    }

    async fn get_agent_version(
        &self,
        request: Request<v1::GetAgentVersionRequest>,
    ) -> Result<Response<v1::AgentVersion>, Status> {
        later(&request)
    }

    async fn activate_agent_version(
        &self,
        request: Request<v1::ActivateAgentVersionRequest>,
    ) -> Result<Response<v1::Agent>, Status> {
        later(&request)
    }

    async fn rollback_agent_version(
        &self,
        request: Request<v1::RollbackAgentVersionRequest>,
    ) -> Result<Response<v1::Agent>, Status> {
        later(&request)
    }

    async fn compare_agent_versions(
        &self,
        request: Request<v1::CompareAgentVersionsRequest>,
    ) -> Result<Response<v1::CompareAgentVersionsResponse>, Status> {
        later(&request)
    }

    async fn list_agent_tools(
        &self,
        request: Request<v1::ListAgentToolsRequest>,
    ) -> Result<Response<v1::ListAgentToolsResponse>, Status> {
        later(&request)
    }
}

fn order(text: &str) -> Result<Order> {
    match text.trim() {
        "" | "created_at desc" => Ok(Order::NewestFirst),
        "created_at" => Ok(if text.is_empty() {
            Order::NewestFirst
        } else {
            Order::OldestFirst
        }),
        "updated_at desc" | "updated_at" => Ok(Order::ChangedFirst),
        "name" => Ok(Order::Name),
        "name desc" => Ok(Order::NameBackwards),
        _ => Err(Error::invalid_field(
            "order_by",
            "order_by must be created_at, updated_at or name, with desc after it or not",
        )),
    }
}

fn new_agent(asked: v1::CreateAgentRequest) -> Result<NewAgent> {
    Ok(NewAgent {
        name: asked.name,
        description: asked.description,
        is_default: asked.is_default,
        is_public: asked.is_public,
        icon_name: asked.icon_name,
        icon_color: asked.icon_color,
        icon_background: asked.icon_background,
        system_prompt: asked.system_prompt,
        model: asked.model,
        configured_mcps: servers("configured_mcps", asked.configured_mcps)?,
        custom_mcps: servers("custom_mcps", asked.custom_mcps)?,
        tools: asked
            .agentpress_tools
            .into_iter()
            .map(|(name, setting)| {
                (
                    name,
                    tools::Setting {
                        enabled: setting.enabled,
                    },
                )
            })
            .collect(),
        tags: asked.tags,
    })
}

fn servers(field: &'static str, asked: Vec<v1::McpServer>) -> Result<Vec<mcp::Server>> {
    let server = |server: v1::McpServer| {
        let transport = match server.r#type() {
            v1::McpTransport::Http => mcp::Transport::Http,
            v1::McpTransport::Sse => mcp::Transport::Sse,
            v1::McpTransport::Stdio => mcp::Transport::Stdio,
            v1::McpTransport::Unspecified => {
                return Err(Error::invalid_field(
                    field,
                    format!("{field}: type must be http, sse or stdio"),
                ));
            }
        };
        Ok(mcp::Server {
            name: server.name,
            transport,
            url: server.url,
            command: server.command,
            args: server.args,
            headers: server.headers,
            enabled_tools: server.enabled_tools,
        })
    };
    asked.into_iter().map(server).collect()
}

fn shown_servers(stored: &serde_json::Value) -> Result<Vec<v1::McpServer>> {
    let servers: Vec<mcp::Server> = read(stored)?;
    let shown = |server: mcp::Server| v1::McpServer {
        name: server.name,
        r#type: match server.transport {
            mcp::Transport::Http => v1::McpTransport::Http,
            mcp::Transport::Sse => v1::McpTransport::Sse,
            mcp::Transport::Stdio => v1::McpTransport::Stdio,
        }
        .into(),
        url: server.url,
        command: server.command,
        args: server.args,
        headers: server.headers,
        enabled_tools: server.enabled_tools,
    };
    Ok(servers.into_iter().map(shown).collect())
}

fn shown(agent: Agent) -> Result<v1::Agent> {
    let Agent { row, version } = agent;
    let settings: tools::Settings = read(&version.tools)?;
    let agentpress_tools: BTreeMap<_, _> = settings
        .into_iter()
        .map(|(name, setting)| {
            (
                name,
                v1::ToolSetting {
                    enabled: setting.enabled,
                },
            )
        })
        .collect();
    let configured_mcps = shown_servers(&version.configured_mcps)?;
    let custom_mcps = shown_servers(&version.custom_mcps)?;
    let current_version = v1::AgentVersion {
        version_id: version.id.to_string(),
        agent_id: version.agent_id.to_string(),
        version_number: version.number,
        version_name: format!("v{}", version.number),
        system_prompt: version.system_prompt,
        model: version.model,
        configured_mcps: configured_mcps.clone(),
        custom_mcps: custom_mcps.clone(),
        agentpress_tools: agentpress_tools.clone(),
        is_active: true,
        created_at: Some(timestamp(version.created_at)),
        updated_at: Some(timestamp(version.updated_at)),
    };
    Ok(v1::Agent {
        agent_id: row.id.to_string(),
        name: row.name,
        description: row.description,
        icon_name: row.icon_name,
        icon_color: row.icon_color,
        icon_background: row.icon_background,
        is_default: row.is_default,
        is_public: row.is_public,
        tags: read(&row.tags)?,
        current_version_id: row.current_version_id.to_string(),
        version_count: row.version_count,
        current_version: Some(current_version),
        configured_mcps,
        custom_mcps,
        agentpress_tools,
        created_at: Some(timestamp(row.created_at)),
        updated_at: Some(timestamp(row.updated_at)),
    })
}

fn read<T: serde::de::DeserializeOwned>(stored: &serde_json::Value) -> Result<T> {
    T::deserialize(stored).map_err(|error| Error::internal("agent", error))
}
