//! Revoking an API key.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::{
    ApiKey,
    list::load,
    table::{Column, Entity},
};
use crate::{accounts::Caller, app::App, error::Result};

/// Revokes a key. If the key is already revoked, its time of revocation does not change.
///
/// # Errors
/// `API_KEY_NOT_FOUND`.
pub async fn revoke(app: &App, caller: &Caller, key_id: Uuid) -> Result<ApiKey> {
    load(app.db.read(), caller.scope(), key_id).await?;
    let tx = app.db.begin("api_keys.revoke").await?;
    Entity::update_many()
        .col_expr(Column::RevokedAt, Expr::value(app.clock.now()))
        .filter(Column::AccountId.eq(caller.account_id))
        .filter(Column::Id.eq(key_id))
        .filter(Column::RevokedAt.is_null())
        .exec(&tx)
        .await?;
    let row = load(&tx, caller.scope(), key_id).await?;
    tx.commit().await?;
    // Wake the open streams, so that each stream checks its key again.
    app.key_revoked.send_replace(());
    Ok(row)
}
