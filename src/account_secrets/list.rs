//! Queries for secrets.

use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::table::{Column, Entity, Model};
use crate::{
    accounts::{Scope, of},
    error::{Code, Error, Result},
};

/// # Errors
/// `SECRET_NOT_FOUND`.
pub(super) async fn load(db: &impl ConnectionTrait, scope: Scope, secret_id: Uuid) -> Result<Model> {
    let found = of::<Entity>(scope).filter(Column::Id.eq(secret_id)).one(db).await?;
    found.ok_or_else(|| Error::new(Code::SecretNotFound, "Secret not found"))
}

pub(super) async fn named(db: &impl ConnectionTrait, scope: Scope, name: &str) -> Result<Option<Model>> {
    Ok(of::<Entity>(scope).filter(Column::Name.eq(name)).one(db).await?)
}

/// Newest first. `before` is the last id of the previous page.
pub async fn list(db: &impl ConnectionTrait, scope: Scope, before: Option<Uuid>, limit: u64) -> Result<Vec<Model>> {
    let mut query = of::<Entity>(scope);
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before));
    }
    Ok(query.order_by_desc(Column::Id).limit(limit).all(db).await?)
}
