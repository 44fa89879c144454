//! Changes webhooks.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::{
    create::checked,
    event, list,
    table::webhook::{Column, Entity, Model},
};
use crate::{
    accounts::{Caller, queue},
    app::App,
    error::Result,
};

/// Changes of a webhook. `None` keeps a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub url: Option<String>,
    pub events: Option<Vec<String>>,
    pub enabled: Option<bool>,
}

/// Enabling a webhook clears its failures, and makes it due.
///
/// # Errors
/// INVALID_REQUEST for a URL that breaks a rule, or an unknown event; `WEBHOOK_NOT_FOUND`.
pub async fn update(app: &App, caller: &Caller, webhook_id: Uuid, changes: Changes) -> Result<Model> {
    list::load(app.db.read(), caller.scope(), webhook_id).await?;
    let url = changes.url.map(|url| checked(app, &url)).transpose()?;
    let events = changes.events.map(|events| event::bits(&events)).transpose()?;
    let now = app.clock.now();
    let tx = queue::begin_locked(app, caller.account_id, "webhooks.update").await?;
    let mut row = list::load(&tx, caller.scope(), webhook_id).await?;
    row.url = url.unwrap_or(row.url);
    row.events = events.unwrap_or(row.events);
    row.updated_at = now;
    let mut change = Entity::update_many()
        .col_expr(Column::Url, Expr::value(row.url.as_str()))
        .col_expr(Column::Events, Expr::value(row.events))
        .col_expr(Column::UpdatedAt, Expr::value(now));
    if let Some(enabled) = changes.enabled {
        row.enabled = enabled;
        row.disabled_reason = None;
        change = change
            .col_expr(Column::Enabled, Expr::value(enabled))
            .col_expr(Column::DisabledReason, Expr::value(None::<String>));
        if enabled {
            row.failures = 0;
            change = change.col_expr(Column::Failures, Expr::value(0));
        }
        let due = enabled.then_some(now);
        change = change.col_expr(Column::DueAt, Expr::value(due));
    }
    change
        .filter(Column::AccountId.eq(caller.account_id))
        .filter(Column::Id.eq(webhook_id))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(row)
}
