//! Revokes shares.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::{
    list::load,
    table::{Column, Entity},
};
use crate::{
    accounts::{Caller, queue},
    app::App,
    error::Result,
};

/// Deletes a share, so that its token stops working.
///
/// # Errors
/// `SHARE_NOT_FOUND`.
pub async fn revoke(app: &App, caller: &Caller, share_id: Uuid) -> Result<()> {
    load(app.db.read(), caller.scope(), share_id).await?;
    let tx = queue::begin_locked(app, caller.account_id, "shares.revoke").await?;
    load(&tx, caller.scope(), share_id).await?;
    Entity::delete_many()
        .filter(Column::AccountId.eq(caller.account_id))
        .filter(Column::Id.eq(share_id))
        .exec(&tx)
        .await?;
    tx.commit().await
}
