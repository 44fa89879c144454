//! Lets a worker claim a run that has waited, or lets it wait for subagents only.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};

use super::{
    Run,
    table::{Column, Entity},
};
use crate::{db::Tx, error::Result};

/// End of the lease of a run that waits for subagents, in the year 9000. No worker owns the lease, and no worker can claim
/// the run.
pub const PARKED_UNTIL: DateTime<Utc> = DateTime::from_timestamp(221_845_392_000, 0).expect("a valid time");

/// Ends the waiting of a run. The transaction must have locked the account.
pub async fn resume(tx: &Tx, run: &Run, now: DateTime<Utc>) -> Result<()> {
    let waited: i64 = run.waiting_since.map_or(0, |since| (now - since).num_milliseconds());
    Entity::update_many()
        .col_expr(Column::WaitingSince, Expr::value(None::<DateTime<Utc>>))
        .col_expr(Column::WaitedMs, Expr::col(Column::WaitedMs).add(waited))
        .col_expr(Column::LeaseExpiresAt, Expr::value(None::<DateTime<Utc>>))
        .filter(Column::AccountId.eq(run.account_id))
        .filter(Column::Id.eq(run.id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Lets a run wait only for its subagents, when callers have answered its other inputs. Clients see it as running.
pub async fn park(tx: &Tx, run: &Run, now: DateTime<Utc>) -> Result<()> {
    resume(tx, run, now).await?;
    Entity::update_many()
        .col_expr(Column::LeaseExpiresAt, Expr::value(PARKED_UNTIL))
        .filter(Column::AccountId.eq(run.account_id))
        .filter(Column::Id.eq(run.id))
        .exec(tx)
        .await?;
    Ok(())
}
