//! Queries for inputs.

use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use uuid::Uuid;

use super::table::{Column, Entity, Kind, Model};
use crate::{
    accounts::{Scope, of},
    error::{Code, Error, Result},
};

pub async fn load(db: &impl ConnectionTrait, scope: Scope, input_id: Uuid) -> Result<Model> {
    let found = of::<Entity>(scope)
        .filter(Column::Id.eq(input_id))
        .filter(is_for_callers())
        .one(db)
        .await?;
    found.ok_or_else(not_found)
}

/// Lists pending inputs, oldest first. `after` is the last input of the previous page.
pub async fn list(
    db: &impl ConnectionTrait,
    scope: Scope,
    run_id: Option<Uuid>,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Model>> {
    let mut query = of::<Entity>(scope)
        .filter(Column::Decision.is_null())
        .filter(is_for_callers());
    if let Some(run_id) = run_id {
        query = query.filter(Column::RunId.eq(run_id));
    }
    if let Some(after) = after {
        query = query.filter(Column::Id.gt(after));
    }
    Ok(query.order_by_asc(Column::Id).limit(limit).all(db).await?)
}

/// Loads the inputs of a run that fulfil a condition, oldest first. A run can have many inputs with large texts, so no
/// caller loads all of them.
pub(in crate::runs) async fn of_run(
    db: &impl ConnectionTrait,
    scope: Scope,
    run_id: Uuid,
    which: Expr,
) -> Result<Vec<Model>> {
    Ok(of::<Entity>(scope)
        .filter(Column::RunId.eq(run_id))
        .filter(which)
        .order_by_asc(Column::Id)
        .all(db)
        .await?)
}

fn is_for_callers() -> Expr {
    Column::Kind.ne(Kind::Task)
}

pub(super) fn not_found() -> Error {
    Error::new(Code::InputNotFound, "Input not found")
}
