//! Ends a run on request, without waiting for its worker.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};

use super::{
    Run, Status,
    table::{Column, Entity},
};
use crate::{
    db::Tx,
    error::Result,
    events::{self, Stored},
};

/// Ends an unfinished run. The transaction must have locked the account. A new epoch prevents the run's worker from
/// writing further events. The lease remains until that worker has ended the run's processes, or until it expires.
///
/// Returns the terminal event, which the calling function publishes after the commit. `None` means that the run had
/// already ended.
pub(super) async fn finish(tx: &Tx, run: &Run, status: Status, now: DateTime<Utc>) -> Result<Option<Stored>> {
    // This update locks the row, so that the journal cannot write events before the terminal event is committed.
    let moved = Entity::update_many()
        .col_expr(Column::LeaseEpoch, Expr::col(Column::LeaseEpoch).add(1))
        .filter(Column::AccountId.eq(run.account_id))
        .filter(Column::Id.eq(run.id))
        .filter(Column::Status.eq(Status::Running))
        .exec(tx)
        .await?;
    if moved.rows_affected == 0 {
        return Ok(None);
    }
    let sequence = events::last_sequence(tx, run.id).await? + 1;
    let event = Stored::new(run.id, sequence, now, events::status(status.into(), None));
    events::insert(tx, &[(run.id, &event)]).await?;
    Entity::update_many()
        .col_expr(Column::Status, Expr::value(status))
        .col_expr(Column::StopRequested, Expr::value(true))
        .col_expr(Column::LastSequence, Expr::value(sequence))
        .col_expr(Column::FinishedAt, Expr::value(now))
        .filter(Column::AccountId.eq(run.account_id))
        .filter(Column::Id.eq(run.id))
        .exec(tx)
        .await?;
    Ok(Some(event))
}
