//! Deletes webhooks.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::{
    list,
    table::webhook::{Column, Entity},
};
use crate::{
    accounts::{Caller, queue},
    app::App,
    error::Result,
};

/// Deletes a webhook. A foreign key deletes its deliveries.
///
/// # Errors
/// `WEBHOOK_NOT_FOUND`.
pub async fn delete(app: &App, caller: &Caller, webhook_id: Uuid) -> Result<()> {
    list::load(app.db.read(), caller.scope(), webhook_id).await?;
    let tx = queue::begin_locked(app, caller.account_id, "webhooks.delete").await?;
    list::load(&tx, caller.scope(), webhook_id).await?;
    Entity::delete_many()
        .filter(Column::AccountId.eq(caller.account_id))
        .filter(Column::Id.eq(webhook_id))
        .exec(&tx)
        .await?;
    tx.commit().await
}
