//! Moves new deliveries to the queues of their webhooks, and claims due webhooks for this process.

use std::{collections::BTreeSet, time::Duration};

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Statement,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::table::{delivery, webhook};
use crate::{
    accounts::{Scope, of},
    app::App,
    db::{Sql, Tx},
    error::Result,
};

/// Time after which another process may claim the webhook of a dead process. It is longer than a round
/// (`webhooks/deliver.rs`) with the longest timeout.
pub(super) const LEASE: Duration = Duration::from_mins(2);
/// Maximum number of deliveries that one transaction moves.
const MOVED_AT_ONCE: i64 = 500;

// The state numbers are literals, so that the database can use a partial index.
const MOVE: &str = "UPDATE webhook_deliveries SET state = 1 WHERE number IN (SELECT number FROM webhook_deliveries \
    WHERE state = 0 ORDER BY number LIMIT $1{lock}) RETURNING webhook_id";

/// A webhook whose receiver fails keeps the time of its next attempt. The update locks the row even if it changes
/// nothing: `outcome::release` then sees the moved deliveries.
const WAKE: Sql = Sql::new(
    "UPDATE webhooks SET due_at = CASE WHEN failures > 0 AND due_at IS NOT NULL THEN due_at ELSE $1 END \
     WHERE id = $2 AND enabled = TRUE",
);

const CLAIM: &str = "UPDATE webhooks SET lease_owner = $1, lease_until = $2 WHERE id IN (SELECT w.id FROM webhooks w \
    WHERE w.due_at <= $3 AND (w.lease_until IS NULL OR w.lease_until < $3) ORDER BY w.due_at LIMIT $4{lock}) RETURNING *";

fn locking(tx: &Tx, text: &str, values: Vec<sea_orm::Value>) -> Statement {
    let backend = tx.get_database_backend();
    let lock = match backend {
        DbBackend::Postgres => " FOR UPDATE SKIP LOCKED",
        // SQLite needs no row lock, because only one write transaction runs at a time.
        _ => "",
    };
    Statement::from_sql_and_values(backend, text.replace("{lock}", lock), values)
}

/// Moves new deliveries to the queues. Returns true if more deliveries may be waiting.
pub(super) async fn queue_new(app: &App) -> Result<bool> {
    let new = of::<delivery::Entity>(Scope::system("new deliveries of all accounts"))
        .select_only()
        .column(delivery::Column::Number)
        .filter(Expr::col((delivery::Entity, delivery::Column::State)).eq(Expr::cust("0")))
        .limit(1)
        .into_tuple::<i64>()
        .one(app.db.read())
        .await?;
    if new.is_none() {
        return Ok(false);
    }
    let now = app.clock.now();
    let tx = app.db.begin("webhooks.queue_new").await?;
    let moved = tx.query_all_raw(locking(&tx, MOVE, vec![MOVED_AT_ONCE.into()])).await?;
    // Ids ascend, so that two processes cannot deadlock.
    let mut webhooks = BTreeSet::new();
    for row in &moved {
        webhooks.insert(row.try_get::<Uuid>("", "webhook_id")?);
    }
    for webhook_id in webhooks {
        tx.change(WAKE.with([now.into(), webhook_id.into()])).await?;
    }
    tx.commit().await?;
    Ok(i64::try_from(moved.len()).is_ok_and(|moved| moved >= MOVED_AT_ONCE))
}

/// Claims due webhooks, most overdue first. `owner` identifies the claim.
pub(super) async fn claim(app: &App, owner: Uuid, limit: usize) -> Result<Vec<webhook::Model>> {
    let now = app.clock.now();
    let due = of::<webhook::Entity>(Scope::system("due webhooks of all accounts"))
        .select_only()
        .column(webhook::Column::Id)
        .filter(webhook::Column::DueAt.lte(now))
        .limit(1)
        .into_tuple::<Uuid>()
        .one(app.db.read())
        .await?;
    if due.is_none() || limit == 0 {
        return Ok(Vec::new());
    }
    let tx = app.db.begin("webhooks.claim").await?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = vec![owner.into(), (now + LEASE).into(), now.into(), limit.into()];
    let rows = tx.query_all_raw(locking(&tx, CLAIM, values)).await?;
    tx.commit().await?;
    let read = rows.iter().map(|row| webhook::Model::from_query_result(row, ""));
    Ok(read.collect::<std::result::Result<_, _>>()?)
}

/// Releases the leases of all processes. Call this only for a database that no other process can use.
pub(super) async fn release_all(app: &App) -> Result<()> {
    let tx = app.db.begin("webhooks.release_all").await?;
    webhook::Entity::update_many()
        .col_expr(webhook::Column::LeaseOwner, Expr::value(None::<Uuid>))
        .col_expr(
            webhook::Column::LeaseUntil,
            Expr::value(None::<chrono::DateTime<chrono::Utc>>),
        )
        .filter(webhook::Column::DueAt.is_not_null())
        .exec(&tx)
        .await?;
    tx.commit().await
}
