//! Deletes projects.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::table::project::{Column, Entity};
use crate::{db::Tx, error::Result};

/// Foreign keys delete the project's threads, runs and sandbox. The calling function must have locked the account,
/// and must have checked that the project has no active run.
pub async fn delete(tx: &Tx, account_id: Uuid, project_id: Uuid) -> Result<()> {
    Entity::delete_many()
        .filter(Column::AccountId.eq(account_id))
        .filter(Column::Id.eq(project_id))
        .exec(tx)
        .await?;
    Ok(())
}
