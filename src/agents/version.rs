//! Versions: loading the one that a run is pinned to.

use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter};
use uuid::Uuid;

use super::table::{agent, version};
use crate::{
    accounts::{Scope, of},
    error::{Code, Error, Result},
};

/// What a run is pinned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The agent.
    pub agent_id: Uuid,
    /// Its current version.
    pub version_id: Uuid,
    /// The version's model.
    pub model: String,
}

/// The current version of the agent asked for, or of the account's default agent; nothing when neither is there.
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

/// The current version of an agent.
pub(super) async fn current(db: &impl ConnectionTrait, scope: Scope, row: &agent::Model) -> Result<version::Model> {
    let found = of::<version::Entity>(scope)
        .filter(version::Column::Id.eq(row.current_version_id))
        .one(db)
        .await?;
    found.ok_or_else(|| Error::internal("agent", format!("the agent {} has lost its version", row.id)))
}

/// The version that a run is pinned to.
///
/// # Errors
/// `AGENT_NOT_FOUND`, when the agent was deleted meanwhile.
pub async fn load(db: &impl ConnectionTrait, scope: Scope, version_id: Uuid) -> Result<version::Model> {
    let found = of::<version::Entity>(scope)
        .filter(version::Column::Id.eq(version_id))
        .one(db)
        .await?;
    found.ok_or_else(|| Error::new(Code::AgentNotFound, "Agent not found"))
}
