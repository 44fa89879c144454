//! Updates the time of a thread's last activity. The new time moves the thread and its project to the top of the lists.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, DbBackend, EntityTrait, QueryFilter, QueryTrait, Statement, UpdateMany, sea_query::Expr};

use super::table::thread::{Column, Entity, Model};
use crate::projects;

/// Builds the statements that set the last-activity time of a thread and of its project. If a name is given, the
/// statements also rename the thread.
pub fn moved(backend: DbBackend, thread: &Model, name: Option<String>, at: DateTime<Utc>) -> Vec<Statement> {
    let mut update: UpdateMany<Entity> = Entity::update_many().col_expr(Column::UpdatedAt, Expr::value(at));
    if let Some(name) = name {
        update = update.col_expr(Column::Name, Expr::value(name));
    }
    let update = update
        .filter(Column::AccountId.eq(thread.account_id))
        .filter(Column::Id.eq(thread.id));
    vec![
        update.build(backend),
        projects::moved(backend, thread.account_id, thread.project_id, at),
    ]
}
