//! Inserts projects, and updates their time of last activity.

use chrono::{DateTime, Utc};
use sea_orm::{EntityTrait, IntoActiveModel};
use uuid::Uuid;

use super::table::project;
use crate::{
    db::{Bound, Sql, Tx},
    error::Result,
    id,
};

/// The calling function must have checked the plan's limit.
pub async fn insert(tx: &Tx, account_id: Uuid, name: String, now: DateTime<Utc>) -> Result<project::Model> {
    let row = project::Model {
        id: id::new(),
        account_id,
        name,
        created_at: now,
        updated_at: now,
    };
    project::Entity::insert(row.clone().into_active_model())
        .exec_without_returning(tx)
        .await?;
    Ok(row)
}

const INSERT: Sql =
    Sql::new("INSERT INTO projects (id, account_id, name, created_at, updated_at) VALUES ($1, $2, $3, $4, $5)");
const MOVE: Sql = Sql::new("UPDATE projects SET updated_at = $1 WHERE account_id = $2 AND id = $3");

/// The change that inserts a project, for functions that make several changes together.
pub fn insertion(row: project::Model) -> Bound {
    INSERT.with([
        row.id.into(),
        row.account_id.into(),
        row.name.into(),
        row.created_at.into(),
        row.updated_at.into(),
    ])
}

/// The change that sets the time of a project's last activity, which moves the project to the top of the list.
pub fn moved(account_id: Uuid, project_id: Uuid, at: DateTime<Utc>) -> Bound {
    MOVE.with([at.into(), account_id.into(), project_id.into()])
}
