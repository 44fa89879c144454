//! Versions of an agent. Version numbers start at 1 and have no gaps: [`add`] assigns the next number while the
//! account is locked.

pub mod activate;
pub mod compare;
pub mod create;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::{
    approvals::Approvals,
    mcp::Server,
    memory::MemorySettings,
    rules::{json, read},
    table::{agent, version},
    tools::Settings,
};
use crate::{
    accounts::{Scope, of},
    db::Tx,
    error::{Code, Error, Result},
    id,
    skills::Attached,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    pub agent_id: Uuid,
    /// The agent's current version when the run started.
    pub version_id: Uuid,
    pub model: String,
}

/// Fields of a version. Changing one of them creates a new version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) system_prompt: String,
    pub(super) model: String,
    pub(super) configured_mcps: Vec<Server>,
    pub(super) custom_mcps: Vec<Server>,
    pub(super) tools: Settings,
    pub(super) skills: Vec<Attached>,
    pub(super) memory: MemorySettings,
    pub(super) approvals: Approvals,
}

impl Content {
    /// Fails with INTERNAL if stored JSON cannot be decoded.
    pub(super) fn of(row: &version::Model) -> Result<Self> {
        Ok(Self {
            system_prompt: row.system_prompt.clone(),
            model: row.model.clone(),
            configured_mcps: read(&row.configured_mcps)?,
            custom_mcps: read(&row.custom_mcps)?,
            tools: read(&row.tools)?,
            skills: read(&row.skills)?,
            memory: read(&row.memory)?,
            approvals: read(&row.approvals)?,
        })
    }
}

/// Finds the current version of the agent, or of the account's default agent. Returns `None` if `agent_id` is `None`
/// and the account has no default.
///
/// # Errors
/// `AGENT_NOT_FOUND`.
pub async fn pin(db: &impl ConnectionTrait, scope: Scope, agent_id: Option<Uuid>) -> Result<Option<Pinned>> {
    let row = match agent_id {
        Some(agent_id) => Some(super::list::load_row(db, scope, agent_id).await?),
        None => super::default::find(db, scope).await?,
    };
    let Some(row) = row else { return Ok(None) };
    let version = current(db, scope, &row).await?;
    Ok(Some(Pinned {
        agent_id: row.id,
        version_id: version.id,
        model: version.model,
    }))
}

pub(super) async fn current(db: &impl ConnectionTrait, scope: Scope, row: &agent::Model) -> Result<version::Model> {
    let found = of::<version::Entity>(scope)
        .filter(version::Column::Id.eq(row.current_version_id))
        .one(db)
        .await?;
    found.ok_or_else(|| {
        Error::internal(
            "the agent could not be loaded",
            format!("the current version of the agent {} is missing", row.id),
        )
    })
}

/// The parts of a version that a run needs. For the built-in agent, all values are the defaults.
#[derive(Clone, Debug, Default)]
pub struct Instructions {
    pub version_id: Option<Uuid>,
    pub system_prompt: Option<String>,
    pub tools: Settings,
    pub skills: Vec<Attached>,
    pub memory: MemorySettings,
    pub approvals: Approvals,
    pub servers: Vec<Server>,
}

/// Loads the instructions of a pinned version. The version is found even if the agent was deleted after the run
/// started.
///
/// # Errors
/// `AGENT_NOT_FOUND` if the version no longer exists.
pub async fn instructions(db: &impl ConnectionTrait, scope: Scope, version_id: Option<Uuid>) -> Result<Instructions> {
    let Some(version_id) = version_id else {
        return Ok(Instructions::default());
    };
    let found = of::<version::Entity>(scope)
        .filter(version::Column::Id.eq(version_id))
        .one(db)
        .await?;
    let version = found.ok_or_else(|| Error::new(Code::AgentNotFound, "Agent not found"))?;
    Ok(Instructions {
        version_id: Some(version_id),
        tools: read(&version.tools)?,
        skills: read(&version.skills)?,
        memory: read(&version.memory)?,
        approvals: read(&version.approvals)?,
        servers: servers(&version)?,
        system_prompt: Some(version.system_prompt),
    })
}

/// The configured integrations come before the custom servers.
pub fn servers(version: &version::Model) -> Result<Vec<Server>> {
    let mut servers: Vec<Server> = read(&version.configured_mcps)?;
    servers.extend(read::<Vec<Server>>(&version.custom_mcps)?);
    Ok(servers)
}

/// Fails with `AGENT_VERSION_NOT_FOUND` if the version does not exist or belongs to another agent.
pub async fn load_of(
    db: &impl ConnectionTrait,
    scope: Scope,
    agent_id: Uuid,
    version_id: Uuid,
) -> Result<version::Model> {
    let found = of::<version::Entity>(scope)
        .filter(version::Column::AgentId.eq(agent_id))
        .filter(version::Column::Id.eq(version_id))
        .one(db)
        .await?;
    found.ok_or_else(|| Error::new(Code::AgentVersionNotFound, "Agent version not found"))
}

/// Lists an agent's versions, newest first. With `before`, lists only versions with lower numbers.
pub async fn list(
    db: &impl ConnectionTrait,
    scope: Scope,
    agent_id: Uuid,
    before: Option<i32>,
    limit: u64,
) -> Result<Vec<version::Model>> {
    let mut query = of::<version::Entity>(scope).filter(version::Column::AgentId.eq(agent_id));
    if let Some(before) = before {
        query = query.filter(version::Column::Number.lt(before));
    }
    Ok(query
        .order_by_desc(version::Column::Number)
        .limit(limit)
        .all(db)
        .await?)
}

/// Inserts the next version and makes it current in `row`. The calling function must have locked the account, and
/// must then write `row`.
pub(super) async fn add(
    tx: &Tx,
    row: &mut agent::Model,
    content: &Content,
    now: DateTime<Utc>,
) -> Result<version::Model> {
    let added = version::Model {
        id: id::new(),
        agent_id: row.id,
        account_id: row.account_id,
        number: row.version_count + 1,
        system_prompt: content.system_prompt.clone(),
        model: content.model.clone(),
        configured_mcps: json(&content.configured_mcps)?,
        custom_mcps: json(&content.custom_mcps)?,
        tools: json(&content.tools)?,
        skills: json(&content.skills)?,
        memory: json(&content.memory)?,
        approvals: json(&content.approvals)?,
        created_at: now,
        updated_at: now,
    };
    version::Entity::insert(added.clone().into_active_model())
        .exec_without_returning(tx)
        .await?;
    row.current_version_id = added.id;
    row.version_count = added.number;
    Ok(added)
}
