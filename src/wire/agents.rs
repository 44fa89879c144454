//! Implements the gRPC service `AgentService`.

mod asked;
mod shown;

use futures::FutureExt;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{caller, page::Page, traits::runyard::v1::agent_service_server::AgentService, write};
use crate::{
    agents::{
        self, Listing, Order, icons, tools,
        version::{self, activate},
    },
    app::App,
    error::{Error, Result},
    id, mcp, runs, v1,
};

#[derive(Clone)]
pub struct Agents {
    pub(super) app: App,
}

#[tonic::async_trait]
impl AgentService for Agents {
    async fn create_agent(&self, request: Request<v1::CreateAgentRequest>) -> Result<Response<v1::Agent>, Status> {
        let (caller, asked) = caller::open(request)?;
        let new = asked::new_agent(asked)?;
        let made = write(&self.app, caller, move |app, caller| {
            agents::create(app, caller, new).boxed()
        });
        let agent = made.await.map_err(|error| error.doing("Failed to create agent"))?;
        mcp::ahead::queue(&self.app, &agent.version);
        Ok(Response::new(shown::agent(agent)?))
    }

    async fn list_agents(
        &self,
        request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        let page = Page::read(&caller, &mut asked)?;
        if asked.search.contains('\0') || asked.tag.contains('\0') {
            return Err(Error::invalid("search and tag must not contain the character NUL").into());
        }
        let offset: u32 = page.after.unwrap_or_default();
        let listing = Listing {
            search: asked.search,
            is_default: asked.is_default,
            tag: asked.tag,
            order: order(&asked.order_by)?,
            offset: offset.into(),
            limit: page.limit(),
        };
        let rows = agents::list(self.app.db.read(), caller.scope(), &listing).await?;
        let next = offset.saturating_add(u32::try_from(page.size).unwrap_or(u32::MAX));
        let (rows, next_page_token) = page.cut(rows, |_| next);
        let agents = rows.into_iter().map(shown::agent).collect::<Result<_>>()?;
        Ok(Response::new(v1::ListAgentsResponse {
            agents,
            next_page_token,
        }))
    }

    async fn get_agent(&self, request: Request<v1::GetAgentRequest>) -> Result<Response<v1::Agent>, Status> {
        let (caller, asked) = caller::open(request)?;
        let agent_id = id::parse("agent_id", &asked.agent_id)?;
        let agent = agents::load(self.app.db.read(), caller.scope(), agent_id).await?;
        Ok(Response::new(shown::agent(agent)?))
    }

    async fn update_agent(&self, request: Request<v1::UpdateAgentRequest>) -> Result<Response<v1::Agent>, Status> {
        let (caller, asked) = caller::open(request)?;
        let agent_id = id::parse("agent_id", &asked.agent_id)?;
        let change = asked::change(asked)?;
        let agent = write(&self.app, caller, move |app, caller| {
            agents::update(app, caller, agent_id, change).boxed()
        })
        .await?;
        if agent.has_new_version() {
            mcp::ahead::queue(&self.app, &agent.version);
        }
        Ok(Response::new(shown::agent(agent)?))
    }

    async fn delete_agent(&self, request: Request<v1::DeleteAgentRequest>) -> Result<Response<()>, Status> {
        let (caller, asked) = caller::open(request)?;
        let agent_id = id::parse("agent_id", &asked.agent_id)?;
        write(&self.app, caller, move |app, caller| {
            agents::delete(app, caller, agent_id).boxed()
        })
        .await?;
        Ok(Response::new(()))
    }

    async fn generate_agent_icon(
        &self,
        request: Request<v1::GenerateAgentIconRequest>,
    ) -> Result<Response<v1::GenerateAgentIconResponse>, Status> {
        let (caller, v1::GenerateAgentIconRequest { name }) = caller::open(request)?;
        // `write` finishes even if the client disconnects, so every completed model call is charged.
        let icon = write(&self.app, caller, move |app, caller| {
            let held = runs::reserve::held(app, caller.account_id);
            async move { icons::generate(app, caller, &name, held).await }.boxed()
        })
        .await?;
        Ok(Response::new(v1::GenerateAgentIconResponse {
            icon_name: icon.name,
            icon_color: icon.color,
            icon_background: icon.background,
        }))
    }

    async fn list_agent_versions(
        &self,
        request: Request<v1::ListAgentVersionsRequest>,
    ) -> Result<Response<v1::ListAgentVersionsResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        let agent_id = id::parse("agent_id", &asked.agent_id)?;
        let page = Page::read(&caller, &mut asked)?;
        let db = self.app.db.read();
        let agent = agents::load(db, caller.scope(), agent_id).await?;
        let rows = version::list(db, caller.scope(), agent_id, page.after, page.limit()).await?;
        let (rows, next_page_token) = page.cut(rows, |row| row.number);
        let current = agent.row.current_version_id;
        let versions = rows
            .into_iter()
            .map(|row| shown::version(row, current))
            .collect::<Result<_>>()?;
        Ok(Response::new(v1::ListAgentVersionsResponse {
            versions,
            next_page_token,
        }))
    }

    async fn create_agent_version(
        &self,
        request: Request<v1::CreateAgentVersionRequest>,
    ) -> Result<Response<v1::AgentVersion>, Status> {
        let (caller, asked) = caller::open(request)?;
        let agent_id = id::parse("agent_id", &asked.agent_id)?;
        let change = asked::new_version(asked)?;
        let made = write(&self.app, caller, move |app, caller| {
            version::create::create(app, caller, agent_id, change).boxed()
        })
        .await?;
        mcp::ahead::queue(&self.app, &made);
        let current = made.id;
        Ok(Response::new(shown::version(made, current)?))
    }

    async fn get_agent_version(
        &self,
        request: Request<v1::GetAgentVersionRequest>,
    ) -> Result<Response<v1::AgentVersion>, Status> {
        let (caller, asked) = caller::open(request)?;
        let (agent_id, version_id) = pair(&asked.agent_id, &asked.version_id)?;
        let db = self.app.db.read();
        let agent = agents::load(db, caller.scope(), agent_id).await?;
        let row = version::load_of(db, caller.scope(), agent_id, version_id).await?;
        Ok(Response::new(shown::version(row, agent.row.current_version_id)?))
    }

    async fn activate_agent_version(
        &self,
        request: Request<v1::ActivateAgentVersionRequest>,
    ) -> Result<Response<v1::Agent>, Status> {
        let (caller, asked) = caller::open(request)?;
        let (agent_id, version_id) = pair(&asked.agent_id, &asked.version_id)?;
        let agent = write(&self.app, caller, move |app, caller| {
            activate::activate(app, caller, agent_id, version_id).boxed()
        })
        .await?;
        Ok(Response::new(shown::agent(agent)?))
    }

    async fn rollback_agent_version(
        &self,
        request: Request<v1::RollbackAgentVersionRequest>,
    ) -> Result<Response<v1::Agent>, Status> {
        let (caller, asked) = caller::open(request)?;
        let (agent_id, version_id) = pair(&asked.agent_id, &asked.version_id)?;
        let agent = write(&self.app, caller, move |app, caller| {
            activate::rollback(app, caller, agent_id, version_id).boxed()
        })
        .await?;
        Ok(Response::new(shown::agent(agent)?))
    }

    async fn compare_agent_versions(
        &self,
        request: Request<v1::CompareAgentVersionsRequest>,
    ) -> Result<Response<v1::CompareAgentVersionsResponse>, Status> {
        let (caller, asked) = caller::open(request)?;
        let (agent_id, version_id) = pair(&asked.agent_id, &asked.version_id)?;
        let other_id = id::parse("other_version_id", &asked.other_version_id)?;
        let db = self.app.db.read();
        let current = agents::load(db, caller.scope(), agent_id).await?.row.current_version_id;
        let one = version::load_of(db, caller.scope(), agent_id, version_id).await?;
        let other = version::load_of(db, caller.scope(), agent_id, other_id).await?;
        let differences = version::compare::compare(&one, &other)?;
        Ok(Response::new(v1::CompareAgentVersionsResponse {
            version: Some(shown::version(one, current)?),
            other_version: Some(shown::version(other, current)?),
            differences: differences.iter().map(shown::difference).collect(),
        }))
    }

    async fn list_agent_tools(
        &self,
        request: Request<v1::ListAgentToolsRequest>,
    ) -> Result<Response<v1::ListAgentToolsResponse>, Status> {
        let (caller, asked) = caller::open(request)?;
        let agent_id = id::parse("agent_id", &asked.agent_id)?;
        let agent = agents::load(self.app.db.read(), caller.scope(), agent_id).await?;
        let offer = mcp::preview(&self.app, &caller, &agent.version).await?;
        let offered = tools::offered(&self.app, &agent)?.into_iter().map(shown::tool);
        Ok(Response::new(v1::ListAgentToolsResponse {
            tools: offered
                .chain(offer.tools.iter().map(|tool| shown::mcp_tool(tool)))
                .collect(),
            unavailable_mcp_servers: offer.failures.iter().map(shown::unavailable).collect(),
        }))
    }

    async fn test_mcp_server(
        &self,
        request: Request<v1::TestMcpServerRequest>,
    ) -> Result<Response<v1::TestMcpServerResponse>, Status> {
        let (caller, asked) = caller::open(request)?;
        let agent_id = id::parse_optional("agent_id", &asked.agent_id)?;
        let missing = || Error::invalid_field("server", "server is required");
        let server = asked::server("server", asked.server.ok_or_else(missing)?)?;
        let offer = mcp::try_out(&self.app, &caller, server, agent_id).await?;
        let reason = offer.failures.into_iter().next().map(|failure| failure.reason);
        Ok(Response::new(v1::TestMcpServerResponse {
            connected: reason.is_none(),
            reason: reason.unwrap_or_default(),
            tools: offer.tools.iter().map(|tool| shown::mcp_tool(tool)).collect(),
        }))
    }
}

fn pair(agent_id: &str, version_id: &str) -> Result<(Uuid, Uuid)> {
    Ok((id::parse("agent_id", agent_id)?, id::parse("version_id", version_id)?))
}

fn order(text: &str) -> Result<Order> {
    match text.trim() {
        "" | "created_at desc" => Ok(Order::NewestFirst),
        "created_at" => Ok(Order::OldestFirst),
        "updated_at desc" => Ok(Order::ChangedFirst),
        "updated_at" => Ok(Order::ChangedLast),
        "name" => Ok(Order::Name),
        "name desc" => Ok(Order::NameBackwards),
        _ => Err(Error::invalid_field(
            "order_by",
            "order_by must be created_at, updated_at or name, optionally followed by desc",
        )),
    }
}
