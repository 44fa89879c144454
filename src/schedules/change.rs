//! Changes, pauses, resumes and deletes schedules.

use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use uuid::Uuid;

use super::{
    create::{NewSchedule, saved},
    cron::Timetable,
    list,
    table::schedule::{Column, Entity, Model, Overlap},
};
use crate::{
    accounts::{Caller, queue},
    app::App,
    db::Tx,
    error::Result,
    runs::saved::StartChanges,
};

/// Changes of a schedule. `None` keeps a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub name: Option<String>,
    pub cron: Option<String>,
    pub time_zone: Option<String>,
    pub start: StartChanges,
    pub overlap: Option<Overlap>,
    pub max_failures: Option<i32>,
}

impl Changes {
    fn apply(self, row: &Model) -> NewSchedule {
        NewSchedule {
            name: self.name.unwrap_or_else(|| row.name.clone()),
            cron: self.cron.unwrap_or_else(|| row.cron.clone()),
            time_zone: self.time_zone.unwrap_or_else(|| row.time_zone.clone()),
            start: self.start.apply(saved(row)),
            overlap: self.overlap.unwrap_or(row.overlap),
            max_failures: self.max_failures.unwrap_or(row.max_failures),
        }
    }
}

/// # Errors
/// `SCHEDULE_NOT_FOUND`; the errors of `create`.
pub async fn update(app: &App, caller: &Caller, schedule_id: Uuid, changes: Changes) -> Result<Model> {
    let before = list::load(app.db.read(), caller.scope(), schedule_id).await?;
    changes.clone().apply(&before).check(app, caller).await?;
    let tx = queue::begin_locked(app, caller.account_id, "schedules.update").await?;
    let mut row = list::load(&tx, caller.scope(), schedule_id).await?;
    // Another request may have changed other fields since the check.
    let new = changes.apply(&row);
    let now = app.clock.now();
    if (&new.cron, &new.time_zone) != (&row.cron, &row.time_zone) {
        let timetable = Timetable::parse(&new.cron, &new.time_zone)?;
        row.next_at = timetable.next_after(now).filter(|_| !row.paused);
    }
    row.name = new.name.trim().to_owned();
    row.cron = new.cron;
    row.time_zone = new.time_zone;
    row.prompt = new.start.prompt;
    row.agent_id = new.start.agent_id;
    row.thread_id = new.start.thread_id;
    row.model = new.start.model;
    row.mode = new.start.mode;
    row.overlap = new.overlap;
    row.max_failures = new.max_failures;
    row.updated_at = now;
    store(&tx, &row).await?;
    tx.commit().await?;
    Ok(row)
}

/// # Errors
/// `SCHEDULE_NOT_FOUND`.
pub async fn pause(app: &App, caller: &Caller, schedule_id: Uuid) -> Result<Model> {
    list::load(app.db.read(), caller.scope(), schedule_id).await?;
    let tx = queue::begin_locked(app, caller.account_id, "schedules.pause").await?;
    let mut row = list::load(&tx, caller.scope(), schedule_id).await?;
    row.paused = true;
    row.next_at = None;
    row.updated_at = app.clock.now();
    store(&tx, &row).await?;
    tx.commit().await?;
    Ok(row)
}

/// Continues with the next occurrence.
///
/// # Errors
/// `SCHEDULE_NOT_FOUND`.
pub async fn resume(app: &App, caller: &Caller, schedule_id: Uuid) -> Result<Model> {
    list::load(app.db.read(), caller.scope(), schedule_id).await?;
    let tx = queue::begin_locked(app, caller.account_id, "schedules.resume").await?;
    let mut row = list::load(&tx, caller.scope(), schedule_id).await?;
    let now = app.clock.now();
    row.paused = false;
    row.paused_reason = None;
    row.next_at = Timetable::parse(&row.cron, &row.time_zone)?.next_after(now);
    row.counted_from = now;
    row.updated_at = now;
    store(&tx, &row).await?;
    tx.commit().await?;
    Ok(row)
}

/// Deletes a schedule. A foreign key deletes its occurrences.
///
/// # Errors
/// `SCHEDULE_NOT_FOUND`.
pub async fn delete(app: &App, caller: &Caller, schedule_id: Uuid) -> Result<()> {
    list::load(app.db.read(), caller.scope(), schedule_id).await?;
    let tx = queue::begin_locked(app, caller.account_id, "schedules.delete").await?;
    list::load(&tx, caller.scope(), schedule_id).await?;
    Entity::delete_many()
        .filter(Column::AccountId.eq(caller.account_id))
        .filter(Column::Id.eq(schedule_id))
        .exec(&tx)
        .await?;
    tx.commit().await
}

/// Writes all columns. The transaction must have locked the account.
pub(super) async fn store(tx: &Tx, row: &Model) -> Result<()> {
    Entity::update(row.clone().into_active_model().reset_all())
        .exec(tx)
        .await?;
    Ok(())
}
