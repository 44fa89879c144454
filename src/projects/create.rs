//! Creating a project, and updating its time of last activity.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, IntoActiveModel, QueryFilter, QueryTrait, Statement, sea_query::Expr,
};
use uuid::Uuid;

use super::table::project;
use crate::{db::Tx, error::Result, id};

/// Inserts a new project. The calling function must have checked the plan's limit.
///
/// # Errors
/// Database errors.
pub async fn insert(tx: &Tx, account_id: Uuid, name: String, now: DateTime<Utc>) -> Result<project::Model> {
    let row = project::Model {
        id: id::new(),
        account_id,
        name,
        created_at: now,
        updated_at: now,
    };
    project::Entity::insert(row.clone().into_active_model())
        .exec_without_returning(tx)
        .await?;
    Ok(row)
}

/// Builds the statement that inserts a project, for functions that send several statements together.
pub fn insertion(backend: DbBackend, row: project::Model) -> Statement {
    project::Entity::insert(row.into_active_model()).build(backend)
}

/// Builds the statement that sets the time of a project's last activity. The new time moves the project to the top of
/// the list.
pub fn moved(backend: DbBackend, account_id: Uuid, project_id: Uuid, at: DateTime<Utc>) -> Statement {
    project::Entity::update_many()
        .col_expr(project::Column::UpdatedAt, Expr::value(at))
        .filter(project::Column::AccountId.eq(account_id))
        .filter(project::Column::Id.eq(project_id))
        .build(backend)
}
