//! Queries for occurrences, and the removal of old ones.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::table::occurrence::{Column, Entity, Model};
use crate::{
    accounts::{Scope, of},
    app::App,
    error::Result,
};

const PURGED_AT_ONCE: u64 = 500;
/// Maximum number of transactions of one removal.
const PURGES: usize = 200;
const DAY: Duration = Duration::from_hours(24);

/// Newest first. `before` is the number of the last occurrence on the previous page. The calling code must have checked
/// access to the schedule.
pub async fn list(
    db: &impl ConnectionTrait,
    scope: Scope,
    schedule_id: Uuid,
    before: Option<i64>,
    limit: u64,
) -> Result<Vec<Model>> {
    let mut query = of::<Entity>(scope).filter(Column::ScheduleId.eq(schedule_id));
    if let Some(before) = before {
        query = query.filter(Column::Number.lt(before));
    }
    Ok(query.order_by_desc(Column::Number).limit(limit).all(db).await?)
}

/// Returns the occurrences before a number that were not skipped, newest first.
pub(super) async fn attempts(
    db: &impl ConnectionTrait,
    scope: Scope,
    schedule_id: Uuid,
    before: i64,
    limit: u64,
) -> Result<Vec<Model>> {
    // The partial index needs a literal outcome.
    let is_attempt = Expr::col((Entity, Column::Outcome)).lt(Expr::cust("3"));
    let query = of::<Entity>(scope)
        .filter(Column::ScheduleId.eq(schedule_id))
        .filter(is_attempt);
    let query = query.filter(Column::Number.lt(before)).order_by_desc(Column::Number);
    Ok(query.limit(limit).all(db).await?)
}

pub(super) async fn find(
    db: &impl ConnectionTrait,
    scope: Scope,
    schedule_id: Uuid,
    occurrence: DateTime<Utc>,
    manual: bool,
) -> Result<Option<Model>> {
    let query = of::<Entity>(scope).filter(Column::ScheduleId.eq(schedule_id));
    let query = query
        .filter(Column::Occurrence.eq(occurrence))
        .filter(Column::Manual.eq(manual));
    Ok(query.one(db).await?)
}

pub(super) async fn numbered(db: &impl ConnectionTrait, scope: Scope, number: i64) -> Result<Option<Model>> {
    Ok(of::<Entity>(scope).filter(Column::Number.eq(number)).one(db).await?)
}

/// Finds the occurrence of an earlier request with the same idempotency key.
pub(super) async fn with_key(
    db: &impl ConnectionTrait,
    scope: Scope,
    schedule_id: Uuid,
    request_key: &str,
) -> Result<Option<Model>> {
    let query = of::<Entity>(scope)
        .filter(Column::ScheduleId.eq(schedule_id))
        .filter(Column::RequestKey.eq(request_key));
    Ok(query.one(db).await?)
}

/// Deletes occurrences that are older than `schedules.keep_days` days.
pub async fn purge(app: &App) -> Result<()> {
    let days = u32::try_from(app.config.schedules.keep_days).unwrap_or(u32::MAX);
    let before = app.clock.now() - DAY.saturating_mul(days);
    for _ in 0..PURGES {
        let numbers: Vec<i64> = of::<Entity>(Scope::system("old occurrences of all accounts"))
            .select_only()
            .column(Column::Number)
            .filter(Column::CreatedAt.lt(before))
            .order_by_asc(Column::CreatedAt)
            .limit(PURGED_AT_ONCE)
            .into_tuple()
            .all(app.db.read())
            .await?;
        if numbers.is_empty() {
            break;
        }
        let tx = app.db.begin("schedules.purge").await?;
        Entity::delete_many()
            .filter(Column::Number.is_in(numbers))
            .exec(&tx)
            .await?;
        tx.commit().await?;
    }
    Ok(())
}
