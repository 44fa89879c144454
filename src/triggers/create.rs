//! Creates triggers, and checks their fields.

use sea_orm::{EntityTrait, IntoActiveModel};

use super::{
    WithSecret, list, sealed,
    table::{Entity, Model},
    template::Template,
};
use crate::{
    accounts::{Caller, ensure, queue},
    app::App,
    error::{Code, Error, Result},
    runs::saved::SavedStart,
    signatures,
};

const MAX_NAME: usize = 200;

/// The fields of a trigger that a caller chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTrigger {
    pub name: String,
    /// The prompt is a template.
    pub start: SavedStart,
    pub enabled: bool,
}

impl NewTrigger {
    /// Checks all fields. The agent and the thread must exist in the caller's account.
    pub(super) async fn check(&self, app: &App, caller: &Caller) -> Result<()> {
        let length = self.name.trim().chars().count();
        if length == 0 || length > MAX_NAME || self.name.contains('\0') {
            let message = format!("name must have 1 to {MAX_NAME} characters");
            return Err(Error::invalid_field("name", message));
        }
        Template::parse(&self.start.prompt)?;
        self.start.check(app, caller).await
    }
}

/// Creates a trigger with a new secret.
///
/// # Errors
/// INVALID_REQUEST; `UNKNOWN_MODEL`; `AGENT_NOT_FOUND`; `THREAD_NOT_FOUND`; `TRIGGER_LIMIT_EXCEEDED`.
pub async fn create(app: &App, caller: &Caller, new: NewTrigger) -> Result<WithSecret> {
    new.check(app, caller).await?;
    let (trigger_id, now) = app.clock.stamp();
    let secret = signatures::new_secret();
    let trigger = Model {
        id: trigger_id,
        account_id: caller.account_id,
        name: new.name.trim().to_owned(),
        prompt: new.start.prompt,
        agent_id: new.start.agent_id,
        thread_id: new.start.thread_id,
        model: new.start.model,
        mode: new.start.mode,
        enabled: new.enabled,
        secret: sealed(app, caller.account_id, trigger_id, &secret)?,
        earlier_secret: None,
        earlier_until: None,
        fired_at: None,
        run_id: None,
        last_thread_id: None,
        error_code: None,
        error: None,
        created_at: now,
        updated_at: now,
    };
    let most = app.config.triggers.max_per_account;
    let tx = queue::begin(app, caller.account_id, "triggers.create").await?;
    // Lock the account, because two concurrent calls must not both create the last permitted trigger.
    ensure::lock(&tx, caller.account_id).await?;
    if list::list(&tx, caller.scope(), None, most).await?.len() as u64 >= most {
        let message = format!("the limit of {most} triggers is reached; delete triggers that are no longer needed");
        return Err(Error::new(Code::TriggerLimitExceeded, message));
    }
    Entity::insert(trigger.clone().into_active_model())
        .exec_without_returning(&tx)
        .await?;
    tx.commit().await?;
    Ok(WithSecret { trigger, secret })
}

/// The choices of a trigger as they are now.
pub(super) fn chosen(row: &Model) -> NewTrigger {
    NewTrigger {
        name: row.name.clone(),
        start: SavedStart {
            prompt: row.prompt.clone(),
            agent_id: row.agent_id,
            thread_id: row.thread_id,
            model: row.model.clone(),
            mode: row.mode.clone(),
        },
        enabled: row.enabled,
    }
}
