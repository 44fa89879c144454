//! The loop that inserts due occurrences and starts their runs.

use std::{sync::Arc, time::Duration};

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Statement,
    sea_query::{Expr, ExprTrait, LockBehavior, LockType, OnConflict},
};
use tokio::{sync::Semaphore, time::sleep};
use tracing::warn;
use uuid::Uuid;

use super::{
    change::store,
    cron::Timetable,
    start,
    table::{
        occurrence::{self, Outcome},
        schedule::{self, Overlap},
    },
};
use crate::{
    accounts::{Scope, of},
    app::App,
    db::Tx,
    error::Result,
};

/// Poll interval. It bounds the delay of an occurrence.
const POLL: Duration = Duration::from_millis(500);
/// Pause after a database error.
const AGAIN: Duration = Duration::from_secs(2);
/// Maximum number of schedules, and of starts, per step.
const AT_ONCE: u64 = 64;
/// Maximum number of concurrent starts. Each can need a database connection, and the pool also serves requests.
const STARTS: usize = 4;
/// Maximum number of occurrences of a schedule that wait for an earlier run.
const MAX_QUEUED: u64 = 10;
/// Time after which another attempt starts the run of a claimed occurrence.
const LEASE: Duration = Duration::from_secs(20);

const CLAIM: &str = "UPDATE schedule_runs SET due_at = $1 WHERE number IN (SELECT number FROM schedule_runs \
    WHERE outcome = 0 AND due_at <= $2 ORDER BY due_at LIMIT $3{lock}) RETURNING *";

/// Starts due occurrences until the app is stopping.
pub async fn work(app: App) {
    let places = Arc::new(Semaphore::new(STARTS));
    while !app.stopping.is_cancelled() {
        let pause = match step(&app, &places).await {
            Ok(true) => continue,
            Ok(false) => POLL,
            Err(fault) => {
                warn!(error = %fault, "could not start the runs of schedules");
                AGAIN
            }
        };
        tokio::select! {
            () = app.stopping.cancelled() => {}
            () = sleep(pause) => {}
        }
    }
}

/// Returns true if more work may be waiting.
async fn step(app: &App, places: &Arc<Semaphore>) -> Result<bool> {
    let due = due(app).await?;
    for schedule in &due {
        insert(app, schedule).await?;
    }
    let claimed = claim(app).await?;
    let more = due.len() as u64 >= AT_ONCE || claimed.len() as u64 >= AT_ONCE;
    for occurrence in claimed {
        // A start can wait for the account's queue, so starts must not delay each other.
        let Ok(place) = Arc::clone(places).acquire_owned().await else {
            return Ok(false);
        };
        let app = app.clone();
        tokio::spawn(async move {
            let _place = place;
            if let Err(fault) = start::start(&app, &occurrence).await {
                warn!(error = %fault, schedule_id = %occurrence.schedule_id, "could not record the start of a schedule");
            }
        });
    }
    Ok(more)
}

async fn due(app: &App) -> Result<Vec<schedule::Model>> {
    Ok(of::<schedule::Entity>(Scope::system("due schedules of all accounts"))
        .filter(schedule::Column::NextAt.lte(app.clock.now()))
        .order_by_asc(schedule::Column::NextAt)
        .limit(AT_ONCE)
        .all(app.db.read())
        .await?)
}

/// Inserts the latest due occurrence of a schedule, and computes the next one. Earlier missed occurrences are not
/// started.
async fn insert(app: &App, due: &schedule::Model) -> Result<()> {
    // A stored expression can become invalid only through a new version of the time zone database.
    if let Err(error) = Timetable::parse(&due.cron, &due.time_zone) {
        return start::pause(
            app,
            &start::caller(due.account_id, due.id),
            due.id,
            error.message().to_owned(),
        )
        .await;
    }
    let scope = Scope::account(due.account_id);
    let tx = app.db.begin("schedules.insert").await?;
    let mut query = of::<schedule::Entity>(scope).filter(schedule::Column::Id.eq(due.id));
    if tx.get_database_backend() == DbBackend::Postgres {
        // Another server inserts the occurrences of a schedule that it has locked.
        query = query.lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked);
    }
    let Some(mut row) = query.one(&tx).await? else {
        return Ok(());
    };
    let now = app.clock.now();
    let Some(first) = row.next_at.filter(|next_at| *next_at <= now) else {
        return Ok(());
    };
    let timetable = Timetable::parse(&row.cron, &row.time_zone)?;
    let occurrence = timetable.last_until(now).filter(|last| *last > first).unwrap_or(first);
    row.next_at = timetable.next_after(now);
    let is_full = row.overlap == Overlap::Queue && waiting(&tx, scope, row.id).await? >= MAX_QUEUED;
    let new = new(&row, occurrence, false, now);
    let new = occurrence::Model {
        outcome: if is_full { Outcome::Skipped } else { Outcome::Pending },
        message: is_full.then(|| format!("{MAX_QUEUED} earlier occurrences wait already")),
        ..new
    };
    insert_once(&tx, new).await?;
    store(&tx, &row).await?;
    tx.commit().await
}

/// An occurrence whose run is not started yet.
pub(super) fn new(
    schedule: &schedule::Model,
    occurrence: chrono::DateTime<chrono::Utc>,
    manual: bool,
    now: chrono::DateTime<chrono::Utc>,
) -> occurrence::Model {
    occurrence::Model {
        number: 0,
        schedule_id: schedule.id,
        account_id: schedule.account_id,
        occurrence,
        manual,
        outcome: Outcome::Pending,
        due_at: now,
        run_id: None,
        thread_id: None,
        error_code: None,
        message: None,
        created_at: now,
        request_key: None,
    }
}

/// Inserts an occurrence, unless the schedule has one with this time.
pub(super) async fn insert_once(tx: &Tx, row: occurrence::Model) -> Result<()> {
    use occurrence::Column;
    let new = occurrence::ActiveModel {
        number: NotSet,
        ..row.into_active_model().reset_all()
    };
    let once = OnConflict::columns([Column::ScheduleId, Column::Occurrence, Column::Manual])
        .do_nothing()
        .to_owned();
    tx.execute(occurrence::Entity::insert(new).on_conflict(once).query())
        .await?;
    Ok(())
}

/// Counts the occurrences of a schedule that wait for their start.
async fn waiting(tx: &Tx, scope: Scope, schedule_id: Uuid) -> Result<u64> {
    // Queued occurrences start in order, so the waiting ones are the newest attempts.
    let newest = super::history::attempts(tx, scope, schedule_id, i64::MAX, MAX_QUEUED).await?;
    let waiting = newest.iter().filter(|row| row.outcome == Outcome::Pending).count();
    Ok(waiting as u64)
}

async fn claim(app: &App) -> Result<Vec<occurrence::Model>> {
    let now = app.clock.now();
    let pending = of::<occurrence::Entity>(Scope::system("pending occurrences of all accounts"))
        .select_only()
        .column(occurrence::Column::Number)
        .filter(Expr::col((occurrence::Entity, occurrence::Column::Outcome)).eq(Expr::cust("0")))
        .filter(occurrence::Column::DueAt.lte(now))
        .limit(1)
        .into_tuple::<i64>()
        .one(app.db.read())
        .await?;
    if pending.is_none() {
        return Ok(Vec::new());
    }
    let tx = app.db.begin("schedules.claim").await?;
    let backend = tx.get_database_backend();
    let lock = match backend {
        DbBackend::Postgres => " FOR UPDATE SKIP LOCKED",
        _ => "",
    };
    let limit = i64::try_from(AT_ONCE).unwrap_or(i64::MAX);
    let values = [(now + LEASE).into(), now.into(), limit.into()];
    let rows = tx
        .query_all_raw(Statement::from_sql_and_values(
            backend,
            CLAIM.replace("{lock}", lock),
            values,
        ))
        .await?;
    tx.commit().await?;
    let read = rows.iter().map(|row| occurrence::Model::from_query_result(row, ""));
    Ok(read.collect::<std::result::Result<_, _>>()?)
}
