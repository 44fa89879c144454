//! Deletes memories, for `DeleteMemory` and the tool `forget`.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::{
    Holder,
    list::load,
    table::{Column, Entity},
};
use crate::{
    accounts::{Scope, queue},
    app::App,
    error::Result,
};

/// Deletes a memory of a holder, or of any holder if `holder` is `None`. On SQLite, a trigger also deletes its words
/// in the search index.
///
/// # Errors
/// `MEMORY_NOT_FOUND`.
pub async fn delete(app: &App, account_id: Uuid, holder: Option<Holder>, memory_id: Uuid) -> Result<()> {
    let scope = Scope::account(account_id);
    load(app.db.read(), scope, holder, memory_id).await?;
    let tx = queue::begin_locked(app, account_id, "memories.delete").await?;
    load(&tx, scope, holder, memory_id).await?;
    Entity::delete_many()
        .filter(Column::AccountId.eq(account_id))
        .filter(Column::Id.eq(memory_id))
        .exec(&tx)
        .await?;
    tx.commit().await
}
