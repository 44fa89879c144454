//! Making a project, and noting that something was done in it.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, IntoActiveModel, QueryFilter, QueryTrait, Statement, sea_query::Expr,
};
use uuid::Uuid;

use super::table::project;
use crate::{db::Tx, error::Result, id};

/// Writes a new project; the caller has asked the plan.
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

/// The statement that notes when something was done in a project, which moves it to the top of the list.
pub fn moved(backend: DbBackend, account_id: Uuid, project_id: Uuid, at: DateTime<Utc>) -> Statement {
    project::Entity::update_many()
        .col_expr(project::Column::UpdatedAt, Expr::value(at))
        .filter(project::Column::AccountId.eq(account_id))
        .filter(project::Column::Id.eq(project_id))
        .build(backend)
}
