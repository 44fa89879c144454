//! Changes and deletes triggers, and replaces their secrets.

use std::time::Duration;

use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use uuid::Uuid;

use super::{
    WithSecret,
    create::{NewTrigger, chosen},
    list, sealed,
    table::{Column, Entity, Model},
};
use crate::{
    accounts::{Caller, queue},
    app::App,
    db::Tx,
    error::Result,
    runs::saved::StartChanges,
    signatures,
};

/// Time for which the secret before a rotation stays valid.
const OVERLAP: Duration = Duration::from_hours(24);

/// Changes of a trigger. `None` keeps a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub name: Option<String>,
    pub start: StartChanges,
    pub enabled: Option<bool>,
}

impl Changes {
    fn apply(self, row: &Model) -> NewTrigger {
        let before = chosen(row);
        NewTrigger {
            name: self.name.unwrap_or(before.name),
            start: self.start.apply(before.start),
            enabled: self.enabled.unwrap_or(before.enabled),
        }
    }
}

/// # Errors
/// `TRIGGER_NOT_FOUND`; the errors of `create`.
pub async fn update(app: &App, caller: &Caller, trigger_id: Uuid, changes: Changes) -> Result<Model> {
    let before = list::load(app.db.read(), caller.scope(), trigger_id).await?;
    changes.clone().apply(&before).check(app, caller).await?;
    let tx = queue::begin_locked(app, caller.account_id, "triggers.update").await?;
    let mut row = list::load(&tx, caller.scope(), trigger_id).await?;
    // Another request may have changed other fields since the check.
    let new = changes.apply(&row);
    row.name = new.name.trim().to_owned();
    row.prompt = new.start.prompt;
    row.agent_id = new.start.agent_id;
    row.thread_id = new.start.thread_id;
    row.model = new.start.model;
    row.mode = new.start.mode;
    row.enabled = new.enabled;
    row.updated_at = app.clock.now();
    store(&tx, &row).await?;
    tx.commit().await?;
    Ok(row)
}

/// Creates a new secret. The earlier one stays valid for a day.
///
/// # Errors
/// `TRIGGER_NOT_FOUND`.
pub async fn rotate(app: &App, caller: &Caller, trigger_id: Uuid) -> Result<WithSecret> {
    list::load(app.db.read(), caller.scope(), trigger_id).await?;
    let secret = signatures::new_secret();
    let new = sealed(app, caller.account_id, trigger_id, &secret)?;
    let tx = queue::begin_locked(app, caller.account_id, "triggers.rotate").await?;
    let mut trigger = list::load(&tx, caller.scope(), trigger_id).await?;
    let now = app.clock.now();
    trigger.earlier_secret = Some(std::mem::replace(&mut trigger.secret, new));
    trigger.earlier_until = Some(now + OVERLAP);
    trigger.updated_at = now;
    store(&tx, &trigger).await?;
    tx.commit().await?;
    Ok(WithSecret { trigger, secret })
}

/// # Errors
/// `TRIGGER_NOT_FOUND`.
pub async fn delete(app: &App, caller: &Caller, trigger_id: Uuid) -> Result<()> {
    list::load(app.db.read(), caller.scope(), trigger_id).await?;
    let tx = queue::begin_locked(app, caller.account_id, "triggers.delete").await?;
    list::load(&tx, caller.scope(), trigger_id).await?;
    Entity::delete_many()
        .filter(Column::AccountId.eq(caller.account_id))
        .filter(Column::Id.eq(trigger_id))
        .exec(&tx)
        .await?;
    tx.commit().await
}

// The columns that a request to the trigger changes keep their values.
async fn store(tx: &Tx, row: &Model) -> Result<()> {
    let mut change = row.clone().into_active_model().reset_all();
    for column in [
        Column::FiredAt,
        Column::RunId,
        Column::LastThreadId,
        Column::ErrorCode,
        Column::Error,
    ] {
        change.not_set(column);
    }
    Entity::update(change).exec(tx).await?;
    Ok(())
}
