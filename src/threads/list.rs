//! Queries for threads.

use std::collections::HashSet;

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

/// Lists the threads that have not changed since `before`, ordered by id. `after` is the last id of the previous page.
pub async fn unchanged(
    db: &impl ConnectionTrait,
    scope: Scope,
    before: DateTime<Utc>,
    after: Uuid,
    limit: u64,
) -> Result<Vec<Model>> {
    Ok(of::<Entity>(scope)
        .filter(Column::Id.gt(after))
        .filter(Column::UpdatedAt.lt(before))
        .order_by_asc(Column::Id)
        .limit(limit)
        .all(db)
        .await?)
}

/// Returns those of the projects that have threads.
pub async fn projects_of(
    db: &impl ConnectionTrait,
    scope: Scope,
    projects: impl Iterator<Item = Uuid>,
) -> Result<HashSet<Uuid>> {
    let used: Vec<Uuid> = of::<Entity>(scope)
        .select_only()
        .column(Column::ProjectId)
        .distinct()
        .filter(Column::ProjectId.is_in(projects))
        .into_tuple()
        .all(db)
        .await?;
    Ok(used.into_iter().collect())
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
