//! Creates schedules, and checks their fields.

use sea_orm::{EntityTrait, IntoActiveModel};

use super::{
    cron::Timetable,
    list,
    table::schedule::{Entity, Model, Overlap},
};
use crate::{
    accounts::{Caller, ensure, queue},
    app::App,
    error::{Code, Error, Result},
    runs::saved::SavedStart,
};

const MAX_NAME: usize = 200;
const MAX_FAILURES: i32 = 100;

/// The fields of a schedule that a caller chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSchedule {
    pub name: String,
    pub cron: String,
    pub time_zone: String,
    pub start: SavedStart,
    pub overlap: Overlap,
    pub max_failures: i32,
}

impl NewSchedule {
    /// Checks all fields. The agent and the thread must exist in the caller's account.
    pub(super) async fn check(&self, app: &App, caller: &Caller) -> Result<Timetable> {
        let length = self.name.trim().chars().count();
        if length == 0 || length > MAX_NAME || self.name.contains('\0') {
            let message = format!("name must have 1 to {MAX_NAME} characters");
            return Err(Error::invalid_field("name", message));
        }
        if !(1..=MAX_FAILURES).contains(&self.max_failures) {
            let message = format!("max_failures must be 1 to {MAX_FAILURES}");
            return Err(Error::invalid_field("max_failures", message));
        }
        let timetable = Timetable::parse(&self.cron, &self.time_zone)?;
        self.start.check(app, caller).await?;
        Ok(timetable)
    }
}

/// # Errors
/// INVALID_REQUEST; `UNKNOWN_MODEL`; `AGENT_NOT_FOUND`; `THREAD_NOT_FOUND`; `SCHEDULE_LIMIT_EXCEEDED`.
pub async fn create(app: &App, caller: &Caller, new: NewSchedule) -> Result<Model> {
    let timetable = new.check(app, caller).await?;
    let (id, now) = app.clock.stamp();
    let row = Model {
        id,
        account_id: caller.account_id,
        name: new.name.trim().to_owned(),
        cron: new.cron,
        time_zone: new.time_zone,
        prompt: new.start.prompt,
        agent_id: new.start.agent_id,
        thread_id: new.start.thread_id,
        model: new.start.model,
        mode: new.start.mode,
        overlap: new.overlap,
        max_failures: new.max_failures,
        paused: false,
        paused_reason: None,
        next_at: timetable.next_after(now),
        counted_from: now,
        created_at: now,
        updated_at: now,
    };
    let most = app.config.schedules.max_per_account;
    let tx = queue::begin(app, caller.account_id, "schedules.create").await?;
    // Lock the account, because two concurrent calls must not both create the last permitted schedule.
    ensure::lock(&tx, caller.account_id).await?;
    if list::list(&tx, caller.scope(), None, most).await?.len() as u64 >= most {
        let message = format!("the limit of {most} schedules is reached; delete schedules that are no longer needed");
        return Err(Error::new(Code::ScheduleLimitExceeded, message));
    }
    Entity::insert(row.clone().into_active_model())
        .exec_without_returning(&tx)
        .await?;
    tx.commit().await?;
    Ok(row)
}

/// The part of a start request that a schedule stores.
pub(super) fn saved(row: &Model) -> SavedStart {
    SavedStart {
        prompt: row.prompt.clone(),
        agent_id: row.agent_id,
        thread_id: row.thread_id,
        model: row.model.clone(),
        mode: row.mode.clone(),
    }
}
