//! Queries for triggers.

use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::table::{Column, Entity, Model};
use crate::{
    accounts::{Scope, of},
    error::{Code, Error, Result},
};

pub async fn find(db: &impl ConnectionTrait, scope: Scope, trigger_id: Uuid) -> Result<Option<Model>> {
    Ok(of::<Entity>(scope).filter(Column::Id.eq(trigger_id)).one(db).await?)
}

/// # Errors
/// `TRIGGER_NOT_FOUND`.
pub async fn load(db: &impl ConnectionTrait, scope: Scope, trigger_id: Uuid) -> Result<Model> {
    let found = find(db, scope, trigger_id).await?;
    found.ok_or_else(|| Error::new(Code::TriggerNotFound, "Trigger not found"))
}

/// Newest first. `before` is the last id of the previous page.
pub async fn list(db: &impl ConnectionTrait, scope: Scope, before: Option<Uuid>, limit: u64) -> Result<Vec<Model>> {
    let mut query = of::<Entity>(scope);
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before));
    }
    Ok(query.order_by_desc(Column::Id).limit(limit).all(db).await?)
}
