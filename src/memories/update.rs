//! Changes the text of memories.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::{
    create::{checked, index},
    list::load,
    table::{Column, Entity, Model},
};
use crate::{
    accounts::{Caller, queue},
    app::App,
    error::Result,
};

/// Setting the current text changes nothing.
///
/// # Errors
/// INVALID_REQUEST for an empty or too large text; `MEMORY_NOT_FOUND`.
pub async fn update(app: &App, caller: &Caller, memory_id: Uuid, text: &str) -> Result<Model> {
    let text = checked(app, text)?;
    load(app.db.read(), caller.scope(), None, memory_id).await?;
    let now = app.clock.now();
    let tx = queue::begin_locked(app, caller.account_id, "memories.update").await?;
    let mut row = load(&tx, caller.scope(), None, memory_id).await?;
    if row.text == text {
        return Ok(row);
    }
    row.text = text.to_owned();
    row.updated_at = now;
    Entity::update_many()
        .col_expr(Column::Text, Expr::value(text))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::AccountId.eq(caller.account_id))
        .filter(Column::Id.eq(memory_id))
        .exec(&tx)
        .await?;
    index(&tx, caller.account_id, memory_id, text).await?;
    tx.commit().await?;
    Ok(row)
}
