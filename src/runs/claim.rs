//! Claims runs for workers. A claim gives a worker a lease with an epoch.
//!
//! The oldest unfinished run of a thread may be claimed if it has no lease or its lease has expired; later runs of
//! the thread wait. Each claim increments the epoch, so that a worker with an earlier lease can no longer change the
//! run.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    Statement, sea_query::Expr,
};
use uuid::Uuid;

use super::{
    Run,
    table::{Column, Entity, is_over, is_unfinished_and_not_waiting},
};
use crate::{
    accounts::{Scope, of},
    app::App,
    error::Result,
    events::Ring,
};

// A run waits while an earlier run of its thread is unfinished. A request can also end a run whose worker still holds
// the lease. Later runs of the thread then wait until this lease is released or expires. The status numbers are
// literals, so that the database can use a partial index.
const CLAIM: &str = "UPDATE runs SET lease_owner = $1, lease_epoch = lease_epoch + 1, lease_expires_at = $2, \
    started_at = COALESCE(started_at, $3) WHERE id IN (SELECT r.id FROM runs r WHERE r.status = 1 \
    AND r.waiting_since IS NULL AND (r.lease_expires_at IS NULL OR r.lease_expires_at < $3) \
    AND NOT EXISTS (SELECT 1 FROM runs e WHERE e.thread_id = r.thread_id AND e.status = 1 AND e.id < r.id) \
    AND NOT EXISTS (SELECT 1 FROM runs e WHERE e.account_id = r.account_id AND e.thread_id = r.thread_id \
    AND e.status <> 1 AND e.lease_expires_at > $3) \
    ORDER BY r.id LIMIT $4{lock}) \
    RETURNING *, (SELECT MAX(n.sequence) FROM run_events n WHERE n.run_id = runs.id) AS newest_event, \
    EXISTS (SELECT 1 FROM uploads u WHERE u.run_id = runs.id AND u.placed = FALSE) AS awaits_files";

/// Data that `StartRun` passes directly to the worker. The run is the first of its thread and has no files.
pub struct Fresh {
    /// The only message of the thread.
    pub prompt: String,
    pub tier: String,
    /// Ring buffer with the run's first events, from which clients receive them without a database query.
    pub ring: Arc<Ring>,
}

/// A claimed run and the data that its worker needs to start.
pub struct Claimed {
    pub run: Run,
    /// Sequence number of the run's newest event; 0 if the run has no events.
    pub newest_event: i64,
    /// `None` if the worker found the run in the database.
    pub fresh: Option<Fresh>,
    /// True if some files of the run are not in the workspace yet.
    pub awaits_files: bool,
}

/// Claims up to `limit` runs for a worker, oldest first. `lease` is the time until an unrenewed lease expires.
pub async fn claim(app: &App, worker_id: Uuid, limit: usize, lease: Duration) -> Result<Vec<Claimed>> {
    let now = app.clock.now();
    let tx = app.db.begin("runs.claim").await?;
    let backend = tx.get_database_backend();
    let text = match backend {
        DbBackend::Postgres => CLAIM.replace("{lock}", " FOR UPDATE OF r SKIP LOCKED"),
        // SQLite needs no row lock, because only one write transaction runs at a time.
        _ => CLAIM.replace("{lock}", ""),
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [worker_id.into(), (now + lease).into(), now.into(), limit.into()];
    let mut rows = tx
        .query_all_raw(Statement::from_sql_and_values(backend, text, values))
        .await?;
    tx.commit().await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in rows.drain(..) {
        claimed.push(Claimed {
            newest_event: row.try_get::<Option<i64>>("", "newest_event")?.unwrap_or_default(),
            awaits_files: row.try_get("", "awaits_files")?,
            fresh: None,
            run: Run::from_query_result(&row, "")?,
        });
    }
    claimed.sort_by_key(|claimed| claimed.run.id);
    Ok(claimed)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewed {
    pub run_id: Uuid,
    pub stop_requested: bool,
}

/// True if an unfinished run has no lease. That run may have to wait for an earlier run of its thread. A run with an
/// expired lease does not count.
pub async fn has_waiting(app: &App) -> Result<bool> {
    Ok(count_waiting(app, 1).await? > 0)
}

/// Counts the runs that [`has_waiting`] looks for, up to `most`.
pub async fn count_waiting(app: &App, most: u64) -> Result<usize> {
    let waiting = of::<Entity>(Scope::system("a worker looks for work"))
        .select_only()
        .column(Column::Id)
        .filter(is_unfinished_and_not_waiting())
        .filter(Column::LeaseExpiresAt.is_null())
        .limit(most)
        .into_tuple::<Uuid>()
        .all(app.db.read())
        .await?;
    Ok(waiting.len())
}

/// Renews the worker's leases of the given runs. Returns the runs whose lease the worker still holds, including runs
/// that a request has ended.
///
/// If the response to a claim was lost, the worker does not know which runs it has claimed. It does not renew the
/// leases of these runs, so the leases expire.
pub async fn renew(app: &App, worker_id: Uuid, run_ids: &[Uuid], lease: Duration) -> Result<Vec<Renewed>> {
    let until: DateTime<Utc> = app.clock.now() + lease;
    let tx = app.db.begin("runs.renew").await?;
    if tx.get_database_backend() == DbBackend::Postgres {
        // Lock the rows in the order of their ids, as the journal does, so that the two cannot deadlock.
        of::<Entity>(Scope::system("a worker locks the runs that it renews"))
            .select_only()
            .column(Column::Id)
            .filter(Column::LeaseOwner.eq(worker_id))
            .filter(Column::Id.is_in(run_ids.iter().copied()))
            .order_by_asc(Column::Id)
            .lock_exclusive()
            .into_tuple::<Uuid>()
            .all(&tx)
            .await?;
    }
    Entity::update_many()
        .col_expr(Column::LeaseExpiresAt, Expr::value(until))
        .filter(Column::LeaseOwner.eq(worker_id))
        .filter(Column::Id.is_in(run_ids.iter().copied()))
        .exec(&tx)
        .await?;
    let rows: Vec<(Uuid, bool)> = of::<Entity>(Scope::system("a worker renews the runs that it holds"))
        .select_only()
        .columns([Column::Id, Column::StopRequested])
        .filter(Column::LeaseOwner.eq(worker_id))
        .filter(Column::Id.is_in(run_ids.iter().copied()))
        .into_tuple()
        .all(&tx)
        .await?;
    tx.commit().await?;
    Ok(rows
        .into_iter()
        .map(|(run_id, stop_requested)| Renewed { run_id, stop_requested })
        .collect())
}

/// Releases a lease before it expires. A worker can then claim the run, or the next run of the thread if a request
/// has ended this run.
pub async fn release(app: &App, worker_id: Uuid, run_id: Uuid) -> Result<()> {
    let tx = app.db.begin("runs.release").await?;
    Entity::update_many()
        .col_expr(Column::LeaseOwner, Expr::value(None::<Uuid>))
        .col_expr(Column::LeaseExpiresAt, Expr::value(None::<DateTime<Utc>>))
        .filter(Column::LeaseOwner.eq(worker_id))
        .filter(Column::Id.eq(run_id))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    app.wake.run_queued();
    Ok(())
}

/// Releases the leases of all workers. Call this only for a database that no other process can use.
pub async fn release_all(app: &App) -> Result<()> {
    let tx = app.db.begin("runs.release_all").await?;
    // One statement for each partial index.
    for state in [is_unfinished_and_not_waiting(), is_over()] {
        Entity::update_many()
            .col_expr(Column::LeaseOwner, Expr::value(None::<Uuid>))
            .col_expr(Column::LeaseExpiresAt, Expr::value(None::<DateTime<Utc>>))
            .filter(state)
            .filter(Column::LeaseExpiresAt.is_not_null())
            // Runs that wait for subagents have no owner.
            .filter(Column::LeaseOwner.is_not_null())
            .exec(&tx)
            .await?;
    }
    tx.commit().await
}
