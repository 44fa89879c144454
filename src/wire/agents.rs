//! `AgentService`: each method converts messages and calls one domain function.

mod asked;
mod shown;

use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{caller, page::Page, traits::runyard::v1::agent_service_server::AgentService};
use crate::{
    agents::{
        self, Listing, Order, icons, tools,
        version::{self, activate},
    },
    app::App,
    error::{Error, Result},
    id, runs, v1,
};

/// Implements `AgentService`.
#[derive(Clone)]
pub struct Agents {
    pub(super) app: App,
}

#[tonic::async_trait]
impl AgentService for Agents {
    async fn create_agent(&self, request: Request<v1::CreateAgentRequest>) -> Result<Response<v1::Agent>, Status> {
        let caller = caller::of(&request)?;
        let new = asked::new_agent(request.into_inner())?;
        let app = self.app.clone();
        let made = super::finish(async move { agents::create(&app, &caller, new).await });
        let agent = made.await.map_err(|error| error.doing("Failed to create agent"))?;
        Ok(Response::new(shown::agent(agent)?))
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
        let agents = rows.into_iter().map(shown::agent).collect::<Result<_>>()?;
        Ok(Response::new(v1::ListAgentsResponse {
            agents,
            next_page_token,
        }))
    }

    async fn get_agent(&self, request: Request<v1::GetAgentRequest>) -> Result<Response<v1::Agent>, Status> {
        let caller = caller::of(&request)?;
        let agent_id = id::parse("agent_id", &request.get_ref().agent_id)?;
        let agent = agents::load(self.app.db.read(), caller.scope(), agent_id).await?;
        Ok(Response::new(shown::agent(agent)?))
    }

    async fn update_agent(&self, request: Request<v1::UpdateAgentRequest>) -> Result<Response<v1::Agent>, Status> {
        let caller = caller::of(&request)?;
        let asked = request.into_inner();
        let agent_id = id::parse("agent_id", &asked.agent_id)?;
        let change = asked::change(asked)?;
        let app = self.app.clone();
        let agent = super::finish(async move { agents::update(&app, &caller, agent_id, change).await }).await?;
        Ok(Response::new(shown::agent(agent)?))
    }

    async fn delete_agent(&self, request: Request<v1::DeleteAgentRequest>) -> Result<Response<()>, Status> {
        let caller = caller::of(&request)?;
        let agent_id = id::parse("agent_id", &request.get_ref().agent_id)?;
        let app = self.app.clone();
        super::finish(async move { agents::delete(&app, &caller, agent_id).await }).await?;
        Ok(Response::new(()))
    }

    async fn generate_agent_icon(
        &self,
        request: Request<v1::GenerateAgentIconRequest>,
    ) -> Result<Response<v1::GenerateAgentIconResponse>, Status> {
        let caller = caller::of(&request)?;
        let (app, name) = (self.app.clone(), request.into_inner().name);
        // This work is completed even if the client disconnects, because the model call is made and must be charged.
        let chosen = async move {
            let held = runs::reserve::held(&app, caller.account_id);
            icons::generate(&app, &caller, &name, held).await
        };
        let icon = super::finish(chosen).await?;
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
        let caller = caller::of(&request)?;
        let asked = request.into_inner();
        let agent_id = id::parse("agent_id", &asked.agent_id)?;
        let query = format!("agent versions {agent_id}");
        let page = Page::read(&caller, &query, asked.page_size, &asked.page_token)?;
        let db = self.app.db.read();
        let agent = agents::load(db, caller.scope(), agent_id).await?;
        let before = page.before()?;
        let mut rows = version::list(db, caller.scope(), agent_id, before, page.limit()).await?;
        let next_page_token = page.cut(&mut rows, |row| row.number.to_be_bytes().to_vec());
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
        let caller = caller::of(&request)?;
        let asked = request.into_inner();
        let agent_id = id::parse("agent_id", &asked.agent_id)?;
        let change = asked::new_version(asked)?;
        let app = self.app.clone();
        let made = super::finish(async move { version::create::create(&app, &caller, agent_id, change).await }).await?;
        let current = made.id;
        Ok(Response::new(shown::version(made, current)?))
    }

    async fn get_agent_version(
        &self,
        request: Request<v1::GetAgentVersionRequest>,
    ) -> Result<Response<v1::AgentVersion>, Status> {
        let caller = caller::of(&request)?;
        let asked = request.into_inner();
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
        let caller = caller::of(&request)?;
        let asked = request.into_inner();
        let (agent_id, version_id) = pair(&asked.agent_id, &asked.version_id)?;
        let app = self.app.clone();
        let activated = async move { activate::activate(&app, &caller, agent_id, version_id).await };
        Ok(Response::new(shown::agent(super::finish(activated).await?)?))
    }

    async fn rollback_agent_version(
        &self,
        request: Request<v1::RollbackAgentVersionRequest>,
    ) -> Result<Response<v1::Agent>, Status> {
        let caller = caller::of(&request)?;
        let asked = request.into_inner();
        let (agent_id, version_id) = pair(&asked.agent_id, &asked.version_id)?;
        let app = self.app.clone();
        let rolled_back = async move { activate::rollback(&app, &caller, agent_id, version_id).await };
        Ok(Response::new(shown::agent(super::finish(rolled_back).await?)?))
    }

    async fn compare_agent_versions(
        &self,
        request: Request<v1::CompareAgentVersionsRequest>,
    ) -> Result<Response<v1::CompareAgentVersionsResponse>, Status> {
        let caller = caller::of(&request)?;
        let asked = request.into_inner();
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
        let caller = caller::of(&request)?;
        let agent_id = id::parse("agent_id", &request.get_ref().agent_id)?;
        // The tools are the same for every agent, but only the owner may ask for them.
        agents::load(self.app.db.read(), caller.scope(), agent_id).await?;
        let tools = tools::offered().into_iter().map(shown::tool).collect();
        Ok(Response::new(v1::ListAgentToolsResponse { tools }))
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
