//! A thread in which something was done: it moves to the top of the lists, and its project with it.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, DbBackend, EntityTrait, QueryFilter, QueryTrait, Statement, UpdateMany, sea_query::Expr};

use super::table::thread::{Column, Entity, Model};
use crate::projects;

/// The statements that note when something was done in a thread, and give it a name if there is one.
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
