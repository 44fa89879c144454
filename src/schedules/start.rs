//! Starts the run of an occurrence, and records the outcome.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::{
    change::store,
    due, history, list,
    table::{
        occurrence::{self, Outcome},
        schedule::{self, Overlap},
    },
};
use crate::{
    accounts::{Access, Caller, Role, ensure, queue},
    app::App,
    error::{Code, Error, Result},
    runs::{self, IfBusy, NewRun, Run, Status},
};

/// Pause before an occurrence that waits for an earlier run is checked again.
const QUEUED_AGAIN: Duration = Duration::from_secs(1);
/// Pause after an error that may pass.
const RETRY: Duration = Duration::from_secs(5);
/// Time for which a start is retried.
const RETRIED_FOR: Duration = Duration::from_mins(5);
const EARLIER_RUN: &str = "an earlier run of the schedule has not ended";

/// What happened to an occurrence.
enum Verdict {
    Done(Outcome, Option<Uuid>, Option<Error>, Option<String>),
    /// Another attempt follows after this time.
    Later(Duration),
}

fn caller(account_id: Uuid) -> Caller {
    Caller {
        account_id,
        role: Role::User,
        access: Access::Run,
    }
}

/// Starts the run of a claimed occurrence.
///
/// # Errors
/// Database errors. A refused start is an outcome.
pub(super) async fn start(app: &App, row: &occurrence::Model) -> Result<()> {
    let caller = caller(row.account_id);
    let schedule = list::load(app.db.read(), caller.scope(), row.schedule_id).await?;
    let verdict = decide(app, &caller, &schedule, row).await?;
    record(app, row, verdict).await
}

/// Starts a run now.
///
/// # Errors
/// `SCHEDULE_NOT_FOUND`.
pub async fn run_now(app: &App, caller: &Caller, schedule_id: Uuid) -> Result<occurrence::Model> {
    let schedule = list::load(app.db.read(), caller.scope(), schedule_id).await?;
    let now = app.clock.now();
    let mut new = due::new(&schedule, now, true, now);
    // The loop starts the run if this process dies before it has started it.
    new.due_at = now + RETRY;
    let tx = queue::begin(app, caller.account_id, "schedules.run_now").await?;
    ensure::lock(&tx, caller.account_id).await?;
    due::insert_once(&tx, new).await?;
    tx.commit().await?;
    let newest = || history::list(app.db.read(), caller.scope(), schedule_id, None, 1);
    let Some(row) = newest().await?.into_iter().next() else {
        return Err(Error::internal(
            "the occurrence could not be loaded",
            "its row is missing",
        ));
    };
    let verdict = launch(app, caller, &schedule, &row, IfBusy::Enqueue).await;
    record(app, &row, verdict).await?;
    let recorded = newest().await?.into_iter().find(|found| found.number == row.number);
    Ok(recorded.unwrap_or(row))
}

async fn decide(app: &App, caller: &Caller, schedule: &schedule::Model, row: &occurrence::Model) -> Result<Verdict> {
    let skipped = |why: String| Ok(Verdict::Done(Outcome::Skipped, None, None, Some(why)));
    if !row.manual {
        if schedule.paused {
            return skipped("the schedule is paused".to_owned());
        }
        if has_failed(app, caller, schedule, row).await? {
            pause(app, caller, schedule.id).await?;
            return skipped(paused_reason(schedule.max_failures));
        }
    }
    let earlier = unfinished(app, caller, row).await?;
    let (Some(earlier), false) = (earlier, row.manual) else {
        return Ok(launch(app, caller, schedule, row, IfBusy::Enqueue).await);
    };
    match schedule.overlap {
        Overlap::Skip => skipped(EARLIER_RUN.to_owned()),
        Overlap::Queue => Ok(Verdict::Later(QUEUED_AGAIN)),
        Overlap::Replace => {
            runs::stop::stop(app, caller, earlier.id).await?;
            Ok(launch(app, caller, schedule, row, IfBusy::Interrupt).await)
        }
    }
}

/// Returns the unfinished run of an earlier occurrence.
async fn unfinished(app: &App, caller: &Caller, row: &occurrence::Model) -> Result<Option<Run>> {
    for run in earlier(app, caller, row, 10).await?.into_iter().flatten() {
        if run.finished_at.is_none() {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

/// Loads the runs of earlier occurrences, newest first; `None` for a refused start.
async fn earlier(app: &App, caller: &Caller, row: &occurrence::Model, limit: u64) -> Result<Vec<Option<Run>>> {
    let rows = history::list(app.db.read(), caller.scope(), row.schedule_id, Some(row.number), limit).await?;
    let mut runs = Vec::new();
    for row in rows {
        match (row.outcome, row.run_id) {
            (Outcome::Started, Some(run_id)) => match runs::list::load(app.db.read(), caller.scope(), run_id).await {
                Ok(run) => runs.push(Some(run)),
                Err(error) if error.code() == Code::RunNotFound => {}
                Err(error) => return Err(error),
            },
            (Outcome::Refused, _) => runs.push(None),
            _ => {}
        }
    }
    Ok(runs)
}

/// True if the last occurrences since `counted_from` have all failed.
async fn has_failed(app: &App, caller: &Caller, schedule: &schedule::Model, row: &occurrence::Model) -> Result<bool> {
    let wanted = usize::try_from(schedule.max_failures).unwrap_or(usize::MAX);
    let limit = u64::try_from(wanted).unwrap_or(u64::MAX);
    let scope = caller.scope();
    let rows = history::list(
        app.db.read(),
        scope,
        schedule.id,
        Some(row.number),
        limit.saturating_mul(2),
    )
    .await?;
    let counted: Vec<_> = rows
        .into_iter()
        .filter(|row| row.created_at >= schedule.counted_from)
        .filter(|row| matches!(row.outcome, Outcome::Started | Outcome::Refused))
        .take(wanted)
        .collect();
    if counted.len() < wanted {
        return Ok(false);
    }
    for row in counted {
        if let Some(run_id) = row.run_id {
            let run = runs::list::load(app.db.read(), scope, run_id).await;
            if !run.is_ok_and(|run| run.status == Status::Failed) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn paused_reason(failures: i32) -> String {
    format!("the last {failures} occurrences failed")
}

async fn pause(app: &App, caller: &Caller, schedule_id: Uuid) -> Result<()> {
    let tx = queue::begin(app, caller.account_id, "schedules.fail").await?;
    ensure::lock(&tx, caller.account_id).await?;
    let mut row = list::load(&tx, caller.scope(), schedule_id).await?;
    row.paused = true;
    row.paused_reason = Some(paused_reason(row.max_failures));
    row.next_at = None;
    store(&tx, &row).await?;
    tx.commit().await
}

/// Starts the run. The idempotency key makes a repeated attempt return the same run.
async fn launch(
    app: &App,
    caller: &Caller,
    schedule: &schedule::Model,
    row: &occurrence::Model,
    if_busy: IfBusy,
) -> Verdict {
    let key = format!(
        "schedule {} {} {}",
        schedule.id,
        row.occurrence.timestamp_micros(),
        row.manual
    );
    let new = NewRun {
        prompt: Some(schedule.prompt.clone()),
        thread_id: schedule.thread_id,
        agent_id: schedule.agent_id,
        model: Some(schedule.model.clone()).filter(|model| !model.is_empty()),
        mode: schedule.mode.clone(),
        request_key: Some(key),
        if_busy,
        ..NewRun::default()
    };
    match runs::start(app, caller, new).await {
        Ok(started) => Verdict::Done(Outcome::Started, Some(started.run.id), None, None),
        Err(error) if may_pass(&error) && app.clock.now() < row.created_at + RETRIED_FOR => Verdict::Later(RETRY),
        Err(error) => Verdict::Done(Outcome::Refused, None, Some(error), None),
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
        Verdict::Done(outcome, run_id, error, message) => {
            let code = error.as_ref().map(|error| error.code().as_str().to_owned());
            let message = message.or_else(|| error.map(|error| error.message().to_owned()));
            Entity::update_many()
                .col_expr(Column::Outcome, Expr::value(outcome))
                .col_expr(Column::RunId, Expr::value(run_id))
                .col_expr(Column::ErrorCode, Expr::value(code))
                .col_expr(Column::Message, Expr::value(message))
        }
    };
    change
        .filter(Column::Number.eq(row.number))
        .filter(Column::Outcome.eq(Outcome::Pending))
        .exec(&tx)
        .await?;
    tx.commit().await
}
