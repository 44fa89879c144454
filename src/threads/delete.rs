//! Deletes threads. `runs/remove.rs` first checks that the thread has no active run.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::table::thread::{Column, Entity};
use crate::{db::Tx, error::Result};

/// Deletes a thread. Foreign keys also delete its messages and runs. The calling function must have locked the
/// account.
pub async fn delete(tx: &Tx, account_id: Uuid, thread_id: Uuid) -> Result<()> {
    Entity::delete_many()
        .filter(Column::AccountId.eq(account_id))
        .filter(Column::Id.eq(thread_id))
        .exec(tx)
        .await?;
    Ok(())
}
