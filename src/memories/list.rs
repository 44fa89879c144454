//! Queries for memories. Every query starts with [`within`].

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::{
    Holder,
    table::{Column, Entity, Model},
};
use crate::{
    accounts::{Scope, of},
    error::{Code, Error, Result},
};

/// Starts a query for the memories of a holder, or of all holders in the scope.
pub(super) fn within(scope: Scope, holder: Option<Holder>) -> Select<Entity> {
    let query = of::<Entity>(scope);
    match holder {
        None => query,
        Some(Holder::Agent(agent_id)) => query.filter(Column::AgentId.eq(agent_id)),
        Some(Holder::Account) => query.filter(Column::AgentId.is_null()),
    }
}

/// Loads a memory of a holder, or of any holder if `holder` is `None`.
pub async fn load(db: &impl ConnectionTrait, scope: Scope, holder: Option<Holder>, memory_id: Uuid) -> Result<Model> {
    let found = within(scope, holder).filter(Column::Id.eq(memory_id)).one(db).await?;
    found.ok_or_else(|| Error::new(Code::MemoryNotFound, "Memory not found"))
}

/// Most recently changed first. `before` is the change time and the id of the last memory on the previous page.
pub async fn list(
    db: &impl ConnectionTrait,
    scope: Scope,
    holder: Option<Holder>,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: u64,
) -> Result<Vec<Model>> {
    let mut query = within(scope, holder);
    if let Some((updated_at, id)) = before {
        let place = Expr::tuple([Column::UpdatedAt, Column::Id].map(|column| Expr::col((Entity, column))));
        query = query.filter(place.lt(Expr::tuple([Expr::value(updated_at), Expr::value(id)])));
    }
    Ok(query
        .order_by_desc(Column::UpdatedAt)
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(db)
        .await?)
}
