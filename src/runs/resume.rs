//! Lets a worker claim a run that has waited.

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

/// Ends the waiting of a run. The transaction must have locked the account.
pub async fn resume(tx: &Tx, run: &Run, now: DateTime<Utc>) -> Result<()> {
    let waited: i64 = run.waiting_since.map_or(0, |since| (now - since).num_milliseconds());
    Entity::update_many()
        .col_expr(Column::WaitingSince, Expr::value(None::<DateTime<Utc>>))
        .col_expr(Column::WaitedMs, Expr::col(Column::WaitedMs).add(waited))
        .filter(Column::AccountId.eq(run.account_id))
        .filter(Column::Id.eq(run.id))
        .exec(tx)
        .await?;
    Ok(())
}
