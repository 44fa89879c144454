//! Implements the gRPC service `MemoryService`.

use chrono::{DateTime, Utc};
use futures::FutureExt;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{caller, mask::Mask, page::Page, traits::runyard::v1::memory_service_server::MemoryService, write};
use crate::{
    accounts::Caller,
    agents,
    app::App,
    error::{Error, Result},
    events::timestamp,
    id,
    memories::{self, Holder, Memory, NewMemory, search::Part},
    v1,
};

#[derive(Clone)]
pub struct Memories {
    pub(super) app: App,
}

#[tonic::async_trait]
impl MemoryService for Memories {
    async fn create_memory(&self, request: Request<v1::CreateMemoryRequest>) -> Result<Response<v1::Memory>, Status> {
        let (caller, asked) = caller::open(request)?;
        let agent_id = id::parse_optional("agent_id", &asked.agent_id)?;
        let new = NewMemory {
            holder: agent_id.map_or(Holder::Account, Holder::Agent),
            text: asked.text,
            run_id: None,
        };
        let made = write(&self.app, caller, move |app, caller| {
            memories::create(app, caller.account_id, new).boxed()
        })
        .await?;
        Ok(Response::new(shown(made)))
    }

    async fn list_memories(
        &self,
        request: Request<v1::ListMemoriesRequest>,
    ) -> Result<Response<v1::ListMemoriesResponse>, Status> {
        let (caller, asked) = caller::open(request)?;
        let holder = holder(&asked)?;
        let (rows, next_page_token) = if asked.search.is_empty() {
            self.newest(&caller, holder, asked).await?
        } else {
            self.best(&caller, holder, asked).await?
        };
        Ok(Response::new(v1::ListMemoriesResponse {
            memories: rows.into_iter().map(shown).collect(),
            next_page_token,
        }))
    }

    async fn get_memory(&self, request: Request<v1::GetMemoryRequest>) -> Result<Response<v1::Memory>, Status> {
        let (caller, asked) = caller::open(request)?;
        let memory_id = id::parse("memory_id", &asked.memory_id)?;
        let row = memories::load(self.app.db.read(), caller.scope(), None, memory_id).await?;
        Ok(Response::new(shown(row)))
    }

    async fn update_memory(&self, request: Request<v1::UpdateMemoryRequest>) -> Result<Response<v1::Memory>, Status> {
        let (caller, asked) = caller::open(request)?;
        let memory_id = id::parse("memory_id", &asked.memory_id)?;
        let Some(text) = new_text(asked)? else {
            let row = memories::load(self.app.db.read(), caller.scope(), None, memory_id).await?;
            return Ok(Response::new(shown(row)));
        };
        let changed = write(&self.app, caller, move |app, caller| {
            async move { memories::update(app, caller, memory_id, &text).await }.boxed()
        })
        .await?;
        Ok(Response::new(shown(changed)))
    }

    async fn delete_memory(&self, request: Request<v1::DeleteMemoryRequest>) -> Result<Response<()>, Status> {
        let (caller, asked) = caller::open(request)?;
        let memory_id = id::parse("memory_id", &asked.memory_id)?;
        write(&self.app, caller, move |app, caller| {
            memories::delete(app, caller.account_id, None, memory_id).boxed()
        })
        .await?;
        Ok(Response::new(()))
    }
}

impl Memories {
    /// Fails with `AGENT_NOT_FOUND` if `holder` is an agent outside the caller's scope.
    async fn check(&self, caller: &Caller, holder: Option<Holder>) -> Result<()> {
        if let Some(Holder::Agent(agent_id)) = holder {
            agents::load(self.app.db.read(), caller.scope(), agent_id).await?;
        }
        Ok(())
    }

    /// Returns a page of memories, most recently changed first, and the token of the next page.
    async fn newest(
        &self,
        caller: &Caller,
        holder: Option<Holder>,
        mut asked: v1::ListMemoriesRequest,
    ) -> Result<(Vec<Memory>, String)> {
        let page: Page<(DateTime<Utc>, Uuid)> = Page::read(caller, &mut asked)?;
        self.check(caller, holder).await?;
        let rows = memories::list(self.app.db.read(), caller.scope(), holder, page.after, page.limit()).await?;
        Ok(page.cut(rows, |row| (row.updated_at, row.id)))
    }

    /// Returns a page of search results, and the token of the next page.
    async fn best(
        &self,
        caller: &Caller,
        holder: Option<Holder>,
        mut asked: v1::ListMemoriesRequest,
    ) -> Result<(Vec<Memory>, String)> {
        let page: Page<u32> = Page::read(caller, &mut asked)?;
        self.check(caller, holder).await?;
        let offset = page.after.unwrap_or_default();
        let part = Part {
            offset,
            limit: page.limit(),
        };
        let rows = memories::search(self.app.db.read(), caller.scope(), holder, &asked.search, part).await?;
        let next = offset.saturating_add(u32::try_from(page.size).unwrap_or(u32::MAX));
        Ok(page.cut(rows, |_| next))
    }
}

fn holder(asked: &v1::ListMemoriesRequest) -> Result<Option<Holder>> {
    let agent_id = id::parse_optional("agent_id", &asked.agent_id)?;
    match (agent_id, asked.account_only) {
        (Some(_), true) => Err(Error::invalid_field(
            "account_only",
            "account_only and agent_id are mutually exclusive; set only one of them",
        )),
        (Some(agent_id), false) => Ok(Some(Holder::Agent(agent_id))),
        (None, true) => Ok(Some(Holder::Account)),
        (None, false) => Ok(None),
    }
}

// Returns the new text of the memory, or `None` if the text does not change. If the mask contains `text` but the
// message does not set `text`, the new text is empty and is refused later.
fn new_text(asked: v1::UpdateMemoryRequest) -> Result<Option<String>> {
    let mask = Mask::read(asked.update_mask, "a memory", &["memory_id"], &["text"])?;
    Ok(mask.value("text", asked.text))
}

fn shown(row: Memory) -> v1::Memory {
    v1::Memory {
        memory_id: row.id.to_string(),
        agent_id: row.agent_id.map(|agent_id| agent_id.to_string()),
        text: row.text,
        agent_run_id: row.run_id.map(|run_id| run_id.to_string()),
        created_at: Some(timestamp(row.created_at)),
        updated_at: Some(timestamp(row.updated_at)),
    }
}
