//! Ends a run without waiting for its worker: on request, or because an input expired.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::{
    Run, Status, inputs,
    journal::RunEnd,
    table::{Column, Entity},
    tasks,
};
use crate::{
    app::App,
    db::Tx,
    error::Result,
    events::{self, Stored},
};

/// The end of a run, before it is published.
pub(super) struct Ended {
    /// The terminal event.
    event: Stored,
    /// The runs of its subagents, which are stopped too.
    stopped: Vec<Uuid>,
}

impl Ended {
    /// Publishes the committed end, and stops the workers of the subagents.
    pub(super) fn publish(self, app: &App, run_id: Uuid) {
        app.hub.publish(run_id, &[self.event]);
        app.wake.stop_all(&self.stopped);
    }
}

/// Ends an unfinished run. The transaction must have locked the account. A new epoch prevents the run's worker from
/// writing further events. The lease remains until that worker has ended the run's processes, or until it expires.
///
/// Returns the end, which the calling function publishes after the commit. `None` means that the run had already ended.
pub(super) async fn finish(tx: &Tx, run: &Run, ending: &RunEnd, now: DateTime<Utc>) -> Result<Option<Ended>> {
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
    let error = ending.error.as_ref();
    let event = Stored::new(run.id, sequence, now, ending.event());
    events::insert(tx, &[(run.id, &event)]).await?;
    inputs::cancel(tx, run.id, now).await?;
    Entity::update_many()
        .col_expr(Column::Status, Expr::value(ending.status))
        .col_expr(Column::ErrorCode, Expr::value(error.map(|(code, _)| code.clone())))
        .col_expr(
            Column::ErrorMessage,
            Expr::value(error.map(|(_, message)| message.clone())),
        )
        .col_expr(Column::StopReason, Expr::value(ending.stop_reason))
        .col_expr(Column::StoppedBy, Expr::value(ending.stopped_by.clone()))
        .col_expr(Column::WaitingSince, Expr::value(None::<DateTime<Utc>>))
        .col_expr(Column::StopRequested, Expr::value(true))
        // A run with pending subagents has an end of the lease, but no owner.
        .col_expr(Column::LeaseExpiresAt, lease_of_owner())
        .col_expr(Column::LastSequence, Expr::value(sequence))
        .col_expr(Column::FinishedAt, Expr::value(now))
        .filter(Column::AccountId.eq(run.account_id))
        .filter(Column::Id.eq(run.id))
        .exec(tx)
        .await?;
    let stopped = tasks::stop_children(tx, run, now).await?;
    Ok(Some(Ended { event, stopped }))
}

fn lease_of_owner() -> Expr {
    Expr::case(
        Expr::col(Column::LeaseOwner).is_null(),
        Expr::value(None::<DateTime<Utc>>),
    )
    .finally(Expr::col(Column::LeaseExpiresAt))
    .into()
}
