//! Queries for threads.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::table::thread::{Column, Entity, Model};
use crate::{
    accounts::{Scope, of},
    error::{Code, Error, Result},
};

pub async fn find(db: &impl ConnectionTrait, scope: Scope, thread_id: Uuid) -> Result<Option<Model>> {
    Ok(of::<Entity>(scope).filter(Column::Id.eq(thread_id)).one(db).await?)
}

pub async fn load(db: &impl ConnectionTrait, scope: Scope, thread_id: Uuid) -> Result<Model> {
    find(db, scope, thread_id).await?.ok_or_else(not_found)
}

pub fn not_found() -> Error {
    Error::new(Code::ThreadNotFound, "Thread not found")
}

/// Lists the threads of one or all projects, most recently active first. The list of all projects leaves out
/// the threads of subagents. `before` is the page cursor: last-activity
/// time and id of the last thread on the previous page.
pub async fn list(
    db: &impl ConnectionTrait,
    scope: Scope,
    project_id: Option<Uuid>,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: u64,
) -> Result<Vec<Model>> {
    let mut query = of::<Entity>(scope).filter(match project_id {
        Some(project_id) => Column::ProjectId.eq(project_id),
        None => Column::ParentRunId.is_null(),
    });
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
