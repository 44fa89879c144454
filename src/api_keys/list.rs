//! Queries for API keys, including revoked and expired keys.

use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::{
    ApiKey,
    table::{Column, Entity},
};
use crate::{
    accounts::{Scope, of},
    error::{Code, Error, Result},
};

/// Newest first. `before` is the id of the last key on the previous page.
pub async fn list(db: &impl ConnectionTrait, scope: Scope, before: Option<Uuid>, limit: u64) -> Result<Vec<ApiKey>> {
    let mut query = of::<Entity>(scope);
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before));
    }
    Ok(query.order_by_desc(Column::Id).limit(limit).all(db).await?)
}

pub async fn load(db: &impl ConnectionTrait, scope: Scope, key_id: Uuid) -> Result<ApiKey> {
    let found = of::<Entity>(scope).filter(Column::Id.eq(key_id)).one(db).await?;
    found.ok_or_else(|| Error::new(Code::ApiKeyNotFound, "API key not found"))
}
