//! Deletes projects. `runs/remove.rs` first checks that the project has no active run.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::table::project::{Column, Entity};
use crate::{db::Tx, error::Result};

/// Deletes the row of a project. Foreign keys delete its threads, runs and sandbox. The calling function must have
/// locked the account.
pub async fn delete(tx: &Tx, account_id: Uuid, project_id: Uuid) -> Result<()> {
    Entity::delete_many()
        .filter(Column::AccountId.eq(account_id))
        .filter(Column::Id.eq(project_id))
        .exec(tx)
        .await?;
    Ok(())
}
