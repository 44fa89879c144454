//! Queries for shares.

use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::{
    Share, not_found,
    table::{Column, Entity},
};
use crate::{
    accounts::{Scope, of},
    error::Result,
};

/// # Errors
/// `SHARE_NOT_FOUND`.
pub(super) async fn load(db: &impl ConnectionTrait, scope: Scope, share_id: Uuid) -> Result<Share> {
    let found = of::<Entity>(scope).filter(Column::Id.eq(share_id)).one(db).await?;
    found.ok_or_else(not_found)
}

/// Lists the shares of one or all threads, newest first. `before` is the last id of the previous page.
pub async fn list(
    db: &impl ConnectionTrait,
    scope: Scope,
    thread_id: Option<Uuid>,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Share>> {
    let mut query = of::<Entity>(scope);
    if let Some(thread_id) = thread_id {
        query = query.filter(Column::ThreadId.eq(thread_id));
    }
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before));
    }
    Ok(query.order_by_desc(Column::Id).limit(limit).all(db).await?)
}
