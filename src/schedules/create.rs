//! Creates schedules, and checks their fields.

use sea_orm::{EntityTrait, IntoActiveModel};
use uuid::Uuid;

use super::{
    cron::Timetable,
    list,
    table::schedule::{Entity, Model, Overlap},
};
use crate::{
    accounts::{Caller, ensure, queue},
    agents,
    app::App,
    error::{Code, Error, Result},
    runs::start::MAX_PROMPT_BYTES,
    threads,
};

const MAX_NAME: usize = 200;
const MAX_FAILURES: i32 = 100;

/// The fields of a schedule that a caller chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSchedule {
    pub name: String,
    pub cron: String,
    pub time_zone: String,
    pub prompt: String,
    pub agent_id: Option<Uuid>,
    pub thread_id: Option<Uuid>,
    pub model: String,
    pub mode: String,
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
        if self.prompt.trim().is_empty() || self.prompt.len() > MAX_PROMPT_BYTES || self.prompt.contains('\0') {
            let message = format!("prompt must have 1 to {MAX_PROMPT_BYTES} bytes, without the character NUL");
            return Err(Error::invalid_field("prompt", message));
        }
        if !(1..=MAX_FAILURES).contains(&self.max_failures) {
            let message = format!("max_failures must be 1 to {MAX_FAILURES}");
            return Err(Error::invalid_field("max_failures", message));
        }
        let timetable = Timetable::parse(&self.cron, &self.time_zone)?;
        app.modes.load(&self.mode)?;
        if !self.model.is_empty() {
            app.models.load(&self.model)?;
        }
        if let Some(agent_id) = self.agent_id {
            agents::load(app.db.read(), caller.scope(), agent_id).await?;
        }
        if let Some(thread_id) = self.thread_id {
            threads::load(app.db.read(), caller.scope(), thread_id).await?;
        }
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
        prompt: new.prompt,
        agent_id: new.agent_id,
        thread_id: new.thread_id,
        model: new.model,
        mode: new.mode,
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
