//! Replaces the signing secret of a webhook.

use std::time::Duration;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::{
    WithSecret, list, sealed,
    table::webhook::{Column, Entity},
};
use crate::{
    accounts::{Caller, queue},
    app::App,
    error::Result,
    signatures,
};

/// Time for which requests also carry a signature of the earlier secret.
const OVERLAP: Duration = Duration::from_hours(24);

/// # Errors
/// `WEBHOOK_NOT_FOUND`.
pub async fn rotate(app: &App, caller: &Caller, webhook_id: Uuid) -> Result<WithSecret> {
    list::load(app.db.read(), caller.scope(), webhook_id).await?;
    let secret = signatures::new_secret();
    let new = sealed(app, caller.account_id, webhook_id, &secret)?;
    let now = app.clock.now();
    let tx = queue::begin_locked(app, caller.account_id, "webhooks.rotate").await?;
    let mut webhook = list::load(&tx, caller.scope(), webhook_id).await?;
    webhook.earlier_secret = Some(std::mem::replace(&mut webhook.secret, new));
    webhook.earlier_until = Some(now + OVERLAP);
    webhook.updated_at = now;
    Entity::update_many()
        .col_expr(Column::Secret, Expr::value(webhook.secret.as_str()))
        .col_expr(Column::EarlierSecret, Expr::value(webhook.earlier_secret.clone()))
        .col_expr(Column::EarlierUntil, Expr::value(webhook.earlier_until))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::AccountId.eq(caller.account_id))
        .filter(Column::Id.eq(webhook_id))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(WithSecret { webhook, secret })
}
