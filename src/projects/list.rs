//! Queries for projects.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::table::project;
use crate::{
    accounts::{Scope, of},
    db::Rows,
    error::{Code, Error, Result},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    pub row: project::Model,
    pub sandbox_id: Option<Uuid>,
}

pub async fn find(db: &impl ConnectionTrait, scope: Scope, project_id: Uuid) -> Result<Option<project::Model>> {
    Ok(of::<project::Entity>(scope)
        .filter(project::Column::Id.eq(project_id))
        .one(db)
        .await?)
}

/// Lists the projects that were created before a time, ordered by id. `after` is the last id of the previous page.
pub async fn created_before(
    db: &impl ConnectionTrait,
    scope: Scope,
    before: DateTime<Utc>,
    after: Uuid,
    limit: u64,
) -> Result<Vec<project::Model>> {
    Ok(of::<project::Entity>(scope)
        .filter(project::Column::Id.gt(after))
        .filter(project::Column::CreatedAt.lt(before))
        .order_by_asc(project::Column::Id)
        .limit(limit)
        .all(db)
        .await?)
}

/// Returns the ids whose project exists in the scope.
pub async fn known(
    db: &impl ConnectionTrait,
    scope: Scope,
    ids: impl ExactSizeIterator<Item = Uuid>,
) -> Result<HashSet<Uuid>> {
    if ids.len() == 0 {
        return Ok(HashSet::new());
    }
    let found: Vec<Uuid> = of::<project::Entity>(scope)
        .select_only()
        .column(project::Column::Id)
        .filter(project::Column::Id.is_in(ids))
        .into_tuple()
        .all(db)
        .await?;
    Ok(found.into_iter().collect())
}

pub async fn load(db: &impl Rows, scope: Scope, project_id: Uuid) -> Result<Project> {
    let found = find(db, scope, project_id).await?;
    let row = found.ok_or_else(|| Error::new(Code::ProjectNotFound, "Project not found"))?;
    let sandbox = super::sandbox::find(db, scope, project_id).await?;
    Ok(Project {
        row,
        sandbox_id: sandbox.map(|sandbox| sandbox.id),
    })
}

/// Most recently active first. `before` is the activity time and the id of the last project on the previous page.
pub async fn list(
    db: &impl ConnectionTrait,
    scope: Scope,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: u64,
) -> Result<Vec<Project>> {
    let mut query = of::<project::Entity>(scope);
    let place = [project::Column::UpdatedAt, project::Column::Id];
    if let Some((updated_at, id)) = before {
        let place = Expr::tuple(place.map(|column| Expr::col((project::Entity, column))));
        query = query.filter(place.lt(Expr::tuple([Expr::value(updated_at), Expr::value(id)])));
    }
    for column in place {
        query = query.order_by_desc(column);
    }
    let rows = query.limit(limit).all(db).await?;
    let ids = rows.iter().map(|row| row.id).collect();
    let sandboxes = super::sandbox::of_projects(db, scope, ids).await?;
    Ok(rows
        .into_iter()
        .map(|row| Project {
            sandbox_id: sandboxes.get(&row.id).copied(),
            row,
        })
        .collect())
}
