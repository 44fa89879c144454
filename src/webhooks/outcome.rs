//! Records the outcomes of attempts, and releases webhooks.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};
use uuid::Uuid;

use super::{
    attempt::{Attempt, Verdict},
    claim::LEASE,
    table::{
        delivery::{self, State},
        webhook,
    },
};
use crate::{
    accounts::{Scope, of},
    app::App,
    db::{Bound, Sql, Tx},
    error::Result,
    id,
    telemetry::names,
};

/// Time for which a delivery is retried.
pub(super) const RETRIED_FOR: Duration = Duration::from_hours(24);
/// Pauses of a delivery: the first one, and the longest one.
const DELIVERY_PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_hours(1));
/// Pauses of a webhook whose receiver fails: the first one, and the longest one.
const RECEIVER_PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(5));
const GONE: &str = "the receiver answered 410 Gone";
const EXPIRED: &str = "the delivery was not accepted within a day";

const RECORD: Sql = Sql::new(
    "UPDATE webhook_deliveries SET state = $1, attempts = attempts + $2, due_at = $3, attempted_at = COALESCE($4, attempted_at), \
     finished_at = $5, response_status = $6, duration_ms = $7, response = $8, error = $9 WHERE number = $10 AND state = 1",
);

/// A delivery, and its attempt; `None` if the delivery expired before the attempt.
pub(super) struct Done {
    pub(super) delivery: delivery::Model,
    pub(super) attempt: Option<Attempt>,
}

impl Done {
    /// Returns the next state of the delivery, and the statement that stores it.
    fn record(&self, now: DateTime<Utc>) -> (State, Bound) {
        let delivery = &self.delivery;
        let Some(attempt) = &self.attempt else {
            let row = RECORD.with([
                State::Failed.into(),
                0.into(),
                delivery.due_at.into(),
                None::<DateTime<Utc>>.into(),
                Some(now).into(),
                delivery.response_status.into(),
                delivery.duration_ms.into(),
                delivery.response.clone().into(),
                Some(delivery.error.clone().unwrap_or_else(|| EXPIRED.to_owned())).into(),
                delivery.number.into(),
            ]);
            return (State::Failed, row);
        };
        let pause = match attempt.verdict {
            Verdict::Failing(Some(pause)) => pause,
            _ => pause(DELIVERY_PAUSES, delivery.attempts),
        };
        let (state, due_at) = match attempt.verdict {
            Verdict::Succeeded => (State::Succeeded, now),
            Verdict::Gone => (State::Failed, now),
            Verdict::Refused | Verdict::Failing(_) if now + pause > delivery.queued_at + RETRIED_FOR => {
                (State::Failed, now)
            }
            Verdict::Refused | Verdict::Failing(_) => (State::Queued, now + pause),
        };
        let finished_at = (state != State::Queued).then_some(now);
        let row = RECORD.with([
            state.into(),
            1.into(),
            due_at.into(),
            Some(now).into(),
            finished_at.into(),
            attempt.status.into(),
            Some(attempt.duration_ms).into(),
            attempt.response.clone().into(),
            attempt.error.clone().into(),
            delivery.number.into(),
        ]);
        (state, row)
    }
}

/// Counts the attempts and the deliveries that they finished.
fn measure(done: &[Done], states: &[State], now: DateTime<Utc>) {
    for (done, state) in done.iter().zip(states) {
        if let Some(attempt) = &done.attempt {
            metrics::counter!(names::WEBHOOK_ATTEMPTS, "outcome" => attempt.verdict.as_str()).increment(1);
        }
        let outcome = match state {
            State::New | State::Queued => continue,
            State::Succeeded => {
                let delay = (now - done.delivery.queued_at).to_std().unwrap_or_default();
                metrics::histogram!(names::WEBHOOK_DELAY).record(delay);
                "succeeded"
            }
            State::Failed => "failed",
        };
        metrics::counter!(names::WEBHOOK_DELIVERIES, "outcome" => outcome).increment(1);
    }
}

/// Returns the pause after `failures` earlier failures, between half and all of its exponential value.
fn pause((first, longest): (Duration, Duration), failures: i32) -> Duration {
    let doublings = u32::try_from(failures).unwrap_or_default().min(20);
    let pause = first.saturating_mul(1 << doublings).min(longest);
    pause.mul_f64(0.5 + id::jitter() / 2.0)
}

/// Records a round of attempts. Returns the webhook with a renewed lease if more of its deliveries are due. Otherwise
/// releases the webhook until its next delivery is due, and returns `None`. Does not change the webhook if this task has
/// lost the lease.
pub(super) async fn record(
    app: &App,
    owner: Uuid,
    webhook: &webhook::Model,
    done: &[Done],
    goes_on: bool,
) -> Result<Option<webhook::Model>> {
    let now = app.clock.now();
    let tx = app.db.begin("webhooks.record").await?;
    let locked = lock(&tx, owner, webhook).await?;
    let (states, rows): (Vec<State>, Vec<Bound>) = done.iter().map(|done| done.record(now)).unzip();
    tx.change_all(rows).await?;
    let Some(mut row) = locked else {
        tx.commit().await?;
        measure(done, &states, now);
        return Ok(None);
    };
    let mut paused_until = None;
    // Concurrent attempts may disagree. A success shows that the receiver works.
    let verdicts = || {
        done.iter()
            .filter_map(|done| done.attempt.as_ref())
            .map(|attempt| attempt.verdict)
    };
    let works = verdicts().any(|verdict| matches!(verdict, Verdict::Succeeded | Verdict::Refused));
    let asked = verdicts().filter_map(|verdict| match verdict {
        Verdict::Failing(asked) => Some(asked.unwrap_or_default()),
        _ => None,
    });
    if let Some(asked) = asked.max() {
        let earlier = if works { 0 } else { row.failures };
        paused_until = Some(now + pause(RECEIVER_PAUSES, earlier).max(asked));
        row.failures = earlier.saturating_add(1);
    } else if works {
        row.failures = 0;
    }
    if verdicts().any(|verdict| verdict == Verdict::Gone) {
        row.enabled = false;
        row.disabled_reason = Some(GONE.to_owned());
    }
    let next = next_due(&tx, &row).await?.filter(|_| row.enabled);
    row.due_at = next.map(|next| paused_until.map_or(next, |until| next.max(until)));
    let is_due = goes_on && row.due_at.is_some_and(|due_at| due_at <= now);
    row.lease_owner = is_due.then_some(owner);
    row.lease_until = is_due.then_some(now + LEASE);
    write(&tx, &row).await?;
    tx.commit().await?;
    measure(done, &states, now);
    Ok(is_due.then_some(row))
}

/// Locks the webhook's row. The trigger's inserts lock the row in shared mode, so none of them is in progress now.
async fn lock(tx: &Tx, owner: Uuid, webhook: &webhook::Model) -> Result<Option<webhook::Model>> {
    let mut query = of::<webhook::Entity>(Scope::account(webhook.account_id))
        .filter(webhook::Column::Id.eq(webhook.id))
        .filter(webhook::Column::LeaseOwner.eq(owner));
    if tx.get_database_backend() == DbBackend::Postgres {
        query = query.lock_exclusive();
    }
    Ok(query.one(tx).await?)
}

async fn next_due(tx: &Tx, webhook: &webhook::Model) -> Result<Option<DateTime<Utc>>> {
    let next = of::<delivery::Entity>(Scope::system("deliveries of a webhook that this process holds"))
        .select_only()
        .column(delivery::Column::DueAt)
        .filter(delivery::Column::WebhookId.eq(webhook.id))
        .filter(is_queued())
        .order_by_asc(delivery::Column::DueAt)
        .limit(1)
        .into_tuple()
        .one(tx)
        .await?;
    Ok(next)
}

/// The state is a literal, so that the database can use a partial index.
fn is_queued() -> Expr {
    use sea_orm::sea_query::ExprTrait;

    Expr::col((delivery::Entity, delivery::Column::State)).eq(Expr::cust("1"))
}

async fn write(tx: &Tx, row: &webhook::Model) -> Result<()> {
    use webhook::Column;
    webhook::Entity::update_many()
        .col_expr(Column::Enabled, Expr::value(row.enabled))
        .col_expr(Column::DisabledReason, Expr::value(row.disabled_reason.clone()))
        .col_expr(Column::Failures, Expr::value(row.failures))
        .col_expr(Column::DueAt, Expr::value(row.due_at))
        .col_expr(Column::LeaseOwner, Expr::value(row.lease_owner))
        .col_expr(Column::LeaseUntil, Expr::value(row.lease_until))
        .filter(Column::AccountId.eq(row.account_id))
        .filter(Column::Id.eq(row.id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Returns queued deliveries that are due, most overdue first.
pub(super) async fn due(app: &App, webhook_id: Uuid, limit: u64) -> Result<Vec<delivery::Model>> {
    Ok(
        of::<delivery::Entity>(Scope::system("deliveries of a webhook that this process holds"))
            .filter(delivery::Column::WebhookId.eq(webhook_id))
            .filter(is_queued())
            .filter(delivery::Column::DueAt.lte(app.clock.now()))
            .order_by_asc(delivery::Column::DueAt)
            .order_by_asc(delivery::Column::Number)
            .limit(limit)
            .all(app.db.read())
            .await?,
    )
}
