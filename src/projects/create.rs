//! Making a project.

use chrono::{DateTime, Utc};
use sea_orm::{EntityTrait, IntoActiveModel};
use uuid::Uuid;

use super::table::project;
use crate::{db::Tx, error::Result, id};

/// Writes a new project; the caller has asked the plan.
///
/// # Errors
/// Those of the database.
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
