//! Queries for deliveries, and the removal of old ones.

use std::time::Duration;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::table::delivery::{Column, Entity, Model};
use crate::{
    accounts::{Scope, of},
    app::App,
    error::{Code, Error, Result},
};

const PURGED_AT_ONCE: u64 = 500;
/// Maximum number of transactions of one removal.
const PURGES: usize = 200;
const DAY: Duration = Duration::from_hours(24);

/// Loads a delivery of a webhook. The calling code must have checked access to the webhook.
///
/// # Errors
/// `WEBHOOK_DELIVERY_NOT_FOUND`.
pub(super) async fn load(
    db: &impl ConnectionTrait,
    scope: Scope,
    webhook_id: Uuid,
    delivery_id: Uuid,
) -> Result<Model> {
    let found = of::<Entity>(scope)
        .filter(Column::Id.eq(delivery_id))
        .filter(Column::WebhookId.eq(webhook_id))
        .one(db)
        .await?;
    found.ok_or_else(|| Error::new(Code::WebhookDeliveryNotFound, "Webhook delivery not found"))
}

/// Newest first. `before` is the number of the last delivery on the previous page.
pub async fn list(
    db: &impl ConnectionTrait,
    scope: Scope,
    webhook_id: Uuid,
    before: Option<i64>,
    limit: u64,
) -> Result<Vec<Model>> {
    let mut query = of::<Entity>(scope).filter(Column::WebhookId.eq(webhook_id));
    if let Some(before) = before {
        query = query.filter(Column::Number.lt(before));
    }
    Ok(query.order_by_desc(Column::Number).limit(limit).all(db).await?)
}

/// Deletes deliveries that ended more than `webhooks.keep_days` days ago.
pub async fn purge(app: &App) -> Result<()> {
    let days = u32::try_from(app.config.webhooks.keep_days).unwrap_or(u32::MAX);
    let before = app.clock.now() - DAY.saturating_mul(days);
    let scope = Scope::system("old deliveries of all accounts");
    for _ in 0..PURGES {
        let numbers: Vec<i64> = of::<Entity>(scope)
            .select_only()
            .column(Column::Number)
            .filter(Column::FinishedAt.lt(before))
            .order_by_asc(Column::FinishedAt)
            .limit(PURGED_AT_ONCE)
            .into_tuple()
            .all(app.db.read())
            .await?;
        if numbers.is_empty() {
            break;
        }
        let tx = app.db.begin("webhooks.purge").await?;
        // A delivery that was sent again in the meantime stays.
        Entity::delete_many()
            .filter(Column::Number.is_in(numbers))
            .filter(Column::FinishedAt.lt(before))
            .exec(&tx)
            .await?;
        tx.commit().await?;
    }
    Ok(())
}
