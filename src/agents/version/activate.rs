//! Activating an existing version, and rolling back. A rollback copies an earlier version into a new version.

use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel};
use uuid::Uuid;

use super::{Content, add, load_of};
use crate::{
    accounts::{Caller, queue},
    agents::{Agent, list::load, table::version, update},
    app::App,
    error::Result,
};

/// Makes an existing version current.
///
/// # Errors
/// `AGENT_NOT_FOUND`, `AGENT_VERSION_NOT_FOUND`.
pub async fn activate(app: &App, caller: &Caller, agent_id: Uuid, version_id: Uuid) -> Result<Agent> {
    load(app.db.read(), caller.scope(), agent_id).await?;
    let now = app.clock.now();
    let tx = queue::begin_locked(app, caller.account_id, "agents.activate").await?;
    let before = load(&tx, caller.scope(), agent_id).await?;
    let mut version = load_of(&tx, caller.scope(), agent_id, version_id).await?;
    if version.id == before.row.current_version_id {
        return Ok(before);
    }
    version.updated_at = now;
    version::Entity::update(version.clone().into_active_model().reset_all())
        .exec(&tx)
        .await?;
    let mut row = before.row;
    row.current_version_id = version.id;
    update::write(&tx, &mut row, now).await?;
    tx.commit().await?;
    Ok(Agent { row, version })
}

/// Copies a version into a new version and makes the copy current.
///
/// # Errors
/// `AGENT_NOT_FOUND`, `AGENT_VERSION_NOT_FOUND`.
pub async fn rollback(app: &App, caller: &Caller, agent_id: Uuid, version_id: Uuid) -> Result<Agent> {
    load(app.db.read(), caller.scope(), agent_id).await?;
    let now = app.clock.now();
    let tx = queue::begin_locked(app, caller.account_id, "agents.rollback").await?;
    let mut row = load(&tx, caller.scope(), agent_id).await?.row;
    let earlier = load_of(&tx, caller.scope(), agent_id, version_id).await?;
    let version = add(&tx, &mut row, &Content::of(&earlier)?, now).await?;
    update::write(&tx, &mut row, now).await?;
    tx.commit().await?;
    Ok(Agent { row, version })
}
