//! Starts the run of an occurrence, and records the outcome.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::{
    change::store,
    create, due, history, list,
    table::{
        occurrence::{self, Outcome},
        schedule::{self, Overlap},
    },
};
use crate::{
    accounts::{Access, Caller, Role, queue},
    app::App,
    error::{Code, Error, Result},
    runs::{
        self, IfBusy, NewRun, Run, Status,
        start::{KEY_LIVES, MAX_KEY},
    },
};

/// Least and greatest pause before an occurrence that waits for an earlier run is checked again.
const QUEUED_AGAIN: Duration = Duration::from_secs(1);
const QUEUED_AGAIN_MOST: Duration = Duration::from_secs(15);
/// Pause before an occurrence that replaces an earlier run is checked again.
const SOON: Duration = Duration::from_millis(200);
/// Maximum time for which an occurrence waits until the run that it replaces has stopped.
const STOPPING: Duration = Duration::from_secs(30);
/// Why the occurrences of a suspended account are skipped.
const SUSPENDED: &str = "the account is suspended";
/// Number of earlier occurrences whose runs are checked for an overlap. Skipped occurrences are not among them.
const EARLIER: u64 = 50;
/// Pause after an error that may pass.
const RETRY: Duration = Duration::from_secs(5);
/// Time for which a start is retried.
const RETRIED_FOR: Duration = Duration::from_mins(5);
const EARLIER_RUN: &str = "an earlier run of the schedule has not ended";

/// The result of an attempt to start the run of an occurrence.
enum Verdict {
    Started(Box<Run>),
    Skipped(String),
    Refused(Error),
    /// Another attempt follows after this time.
    Later(Duration),
}

pub(super) fn caller(account_id: Uuid, schedule_id: Uuid) -> Caller {
    Caller {
        account_id,
        role: Role::User,
        access: Access::Run,
        name: format!("schedule:{schedule_id}").into(),
    }
}

/// Starts the run of a claimed occurrence.
///
/// # Errors
/// Database errors. A refused start is an outcome.
pub(super) async fn start(app: &App, row: &occurrence::Model) -> Result<()> {
    let caller = caller(row.account_id, row.schedule_id);
    let schedule = match list::load(app.db.read(), caller.scope(), row.schedule_id).await {
        Ok(schedule) => schedule,
        Err(error) if error.code() == Code::ScheduleNotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let verdict = match decide(app, &caller, &schedule, row).await {
        Ok(verdict) => verdict,
        Err(error) if may_pass(&error) => Verdict::Later(RETRY),
        Err(error) => return Err(error),
    };
    record(app, row, verdict).await
}

/// Starts a run now. A repeated request with the same key returns the occurrence of the first one.
///
/// # Errors
/// INVALID_REQUEST; `SCHEDULE_NOT_FOUND`.
pub async fn run_now(app: &App, caller: &Caller, schedule_id: Uuid, request_key: &str) -> Result<occurrence::Model> {
    if request_key.chars().count() > MAX_KEY || request_key.contains('\0') {
        let message = format!("request_id must have at most {MAX_KEY} characters and no NUL character");
        return Err(Error::invalid_field("request_id", message));
    }
    let request_key = Some(request_key.to_owned()).filter(|key| !key.is_empty());
    let schedule = list::load(app.db.read(), caller.scope(), schedule_id).await?;
    let row = occurrence_of(app, caller, &schedule, request_key).await?;
    if row.outcome != Outcome::Pending {
        return Ok(row);
    }
    let verdict = launch(app, caller, &schedule, &row, IfBusy::Enqueue).await;
    record(app, &row, verdict).await?;
    loaded(history::numbered(app.db.read(), caller.scope(), row.number).await?)
}

fn loaded(found: Option<occurrence::Model>) -> Result<occurrence::Model> {
    found.ok_or_else(|| Error::internal("the occurrence could not be loaded", "its row is missing"))
}

/// Returns the occurrence that has the key. Creates an occurrence if none has it.
async fn occurrence_of(
    app: &App,
    caller: &Caller,
    schedule: &schedule::Model,
    request_key: Option<String>,
) -> Result<occurrence::Model> {
    let tx = queue::begin_locked(app, caller.account_id, "schedules.run_now").await?;
    let now = app.clock.now();
    if let Some(key) = &request_key
        && let Some(earlier) = history::with_key(&tx, caller.scope(), schedule.id, key).await?
    {
        if now < earlier.created_at + KEY_LIVES {
            return Ok(earlier);
        }
        occurrence::Entity::update_many()
            .col_expr(occurrence::Column::RequestKey, Expr::value(None::<String>))
            .filter(occurrence::Column::AccountId.eq(caller.account_id))
            .filter(occurrence::Column::Number.eq(earlier.number))
            .exec(&tx)
            .await?;
    }
    let mut new = due::new(schedule, now, true, now);
    // The loop starts the run if this process dies before it has started it.
    new.due_at = now + RETRY;
    new.request_key = request_key;
    due::insert_once(&tx, new).await?;
    let row = loaded(history::find(&tx, caller.scope(), schedule.id, now, true).await?)?;
    tx.commit().await?;
    Ok(row)
}

async fn decide(app: &App, caller: &Caller, schedule: &schedule::Model, row: &occurrence::Model) -> Result<Verdict> {
    // A server that died after the start may not have recorded it.
    if let Some(run) = runs::list::with_key(app.db.read(), caller.scope(), &key(row)).await? {
        return Ok(Verdict::Started(Box::new(run)));
    }
    if row.manual {
        return Ok(launch(app, caller, schedule, row, IfBusy::Enqueue).await);
    }
    if schedule.paused {
        return Ok(Verdict::Skipped("the schedule is paused".to_owned()));
    }
    // A skipped occurrence does not count as a failure, so the schedule works again after the suspension.
    if app.accounts.suspensions.contains(caller.account_id) {
        return Ok(Verdict::Skipped(SUSPENDED.to_owned()));
    }
    if has_failed(app, caller, schedule, row).await? {
        pause(app, caller, schedule.id, paused_reason(schedule.max_failures)).await?;
        return Ok(Verdict::Skipped(paused_reason(schedule.max_failures)));
    }
    let if_busy = match (schedule.overlap, earlier(app, caller, row).await?) {
        (_, Earlier::Ended) => IfBusy::Enqueue,
        (Overlap::Skip, _) => return Ok(Verdict::Skipped(EARLIER_RUN.to_owned())),
        (Overlap::Queue, _) => return Ok(Verdict::Later(patience(app.clock.now() - row.created_at))),
        (Overlap::Replace, Earlier::Pending) => return Ok(Verdict::Later(SOON)),
        (Overlap::Replace, Earlier::Unfinished(runs)) => {
            let mut is_stopping = false;
            for run in runs {
                is_stopping |= runs::stop::stop(app, caller, run.id).await?.finished_at.is_none();
            }
            // An earlier run that is being stopped still holds its slot.
            if is_stopping && app.clock.now() < row.created_at + STOPPING {
                return Ok(Verdict::Later(SOON));
            }
            IfBusy::Interrupt
        }
    };
    Ok(launch(app, caller, schedule, row, if_busy).await)
}

/// Pause before a queued occurrence is checked again. An old occurrence is checked less often.
fn patience(age: TimeDelta) -> Duration {
    let age = age.to_std().unwrap_or_default();
    (age / 20).clamp(QUEUED_AGAIN, QUEUED_AGAIN_MOST)
}

/// The state of the earlier occurrences of a schedule.
enum Earlier {
    Ended,
    /// An earlier occurrence has not started its run yet.
    Pending,
    /// These runs are unfinished. A run that waits for an input is unfinished.
    Unfinished(Vec<Run>),
}

async fn earlier(app: &App, caller: &Caller, row: &occurrence::Model) -> Result<Earlier> {
    let rows = history::attempts(app.db.read(), caller.scope(), row.schedule_id, row.number, EARLIER).await?;
    if rows.iter().any(|row| row.outcome == Outcome::Pending && !row.manual) {
        return Ok(Earlier::Pending);
    }
    let run_ids: Vec<Uuid> = rows.iter().filter_map(|row| row.run_id).collect();
    let mut runs = runs::list::find_all(app.db.read(), caller.scope(), &run_ids).await?;
    runs.retain(|run| run.finished_at.is_none());
    Ok(if runs.is_empty() {
        Earlier::Ended
    } else {
        Earlier::Unfinished(runs)
    })
}

/// True if the last occurrences since `counted_from` have all failed. Skipped occurrences do not count.
async fn has_failed(app: &App, caller: &Caller, schedule: &schedule::Model, row: &occurrence::Model) -> Result<bool> {
    let wanted = u64::try_from(schedule.max_failures).unwrap_or(u64::MAX);
    let rows = history::attempts(app.db.read(), caller.scope(), schedule.id, row.number, wanted).await?;
    let counts = |row: &&occurrence::Model| row.created_at >= schedule.counted_from && row.outcome != Outcome::Pending;
    if (rows.iter().filter(counts).count() as u64) < wanted {
        return Ok(false);
    }
    let run_ids: Vec<Uuid> = rows.iter().filter_map(|row| row.run_id).collect();
    let runs = runs::list::find_all(app.db.read(), caller.scope(), &run_ids).await?;
    // A deleted run has not failed.
    Ok(runs.len() == run_ids.len() && runs.iter().all(|run| run.status == Status::Failed))
}

fn paused_reason(failures: i32) -> String {
    format!("the last {failures} occurrences failed")
}

/// Pauses a schedule that does not work.
pub(super) async fn pause(app: &App, caller: &Caller, schedule_id: Uuid, reason: String) -> Result<()> {
    let tx = queue::begin_locked(app, caller.account_id, "schedules.fail").await?;
    let mut row = list::load(&tx, caller.scope(), schedule_id).await?;
    row.paused = true;
    row.paused_reason = Some(reason);
    row.next_at = None;
    store(&tx, &row).await?;
    tx.commit().await
}

fn key(row: &occurrence::Model) -> String {
    let time = row.occurrence.timestamp_micros();
    format!("schedule {} {time} {}", row.schedule_id, row.manual)
}

/// Starts the run. The idempotency key makes a repeated attempt return the same run.
async fn launch(
    app: &App,
    caller: &Caller,
    schedule: &schedule::Model,
    row: &occurrence::Model,
    if_busy: IfBusy,
) -> Verdict {
    let new = NewRun {
        request_key: Some(key(row)),
        if_busy,
        ..create::saved(schedule).new_run()
    };
    match Box::pin(runs::start(app, caller, new)).await {
        Ok(started) => Verdict::Started(Box::new(started.run)),
        Err(error) if may_pass(&error) && app.clock.now() < row.created_at + RETRIED_FOR => Verdict::Later(RETRY),
        // This is no failure of the schedule.
        Err(error) if error.code() == Code::AccountSuspended => Verdict::Skipped(SUSPENDED.to_owned()),
        Err(error) => Verdict::Refused(error),
    }
}

fn may_pass(error: &Error) -> bool {
    matches!(
        error.code(),
        Code::Unavailable | Code::Contended | Code::Throttled | Code::Internal
    )
}

async fn record(app: &App, row: &occurrence::Model, verdict: Verdict) -> Result<()> {
    use occurrence::{Column, Entity};
    let tx = app.db.begin("schedules.record").await?;
    let change = match verdict {
        Verdict::Later(pause) => {
            let due_at: DateTime<Utc> = app.clock.now() + pause;
            Entity::update_many().col_expr(Column::DueAt, Expr::value(due_at))
        }
        Verdict::Started(run) => Entity::update_many()
            .col_expr(Column::Outcome, Expr::value(Outcome::Started))
            .col_expr(Column::RunId, Expr::value(run.id))
            .col_expr(Column::ThreadId, Expr::value(run.thread_id)),
        Verdict::Skipped(why) => Entity::update_many()
            .col_expr(Column::Outcome, Expr::value(Outcome::Skipped))
            .col_expr(Column::Message, Expr::value(why)),
        Verdict::Refused(error) => Entity::update_many()
            .col_expr(Column::Outcome, Expr::value(Outcome::Refused))
            .col_expr(Column::ErrorCode, Expr::value(error.code().as_str()))
            .col_expr(Column::Message, Expr::value(error.message())),
    };
    change
        .filter(Column::AccountId.eq(row.account_id))
        .filter(Column::Number.eq(row.number))
        .filter(Column::Outcome.eq(Outcome::Pending))
        .exec(&tx)
        .await?;
    tx.commit().await
}
