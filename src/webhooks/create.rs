//! Creates webhooks.

use sea_orm::{EntityTrait, IntoActiveModel};

use super::{
    WithSecret, event, list, sealed,
    table::webhook::{Entity, Model},
    target,
};
use crate::{
    accounts::{Caller, ensure, queue},
    app::App,
    error::{Code, Error, Result},
    signatures,
};

/// Creates a webhook with a new secret. Without `events`, the webhook receives all events.
///
/// # Errors
/// INVALID_REQUEST for a URL that breaks a rule, or an unknown event; `WEBHOOK_LIMIT_EXCEEDED`.
pub async fn create(app: &App, caller: &Caller, url: &str, events: &[String]) -> Result<WithSecret> {
    let url = checked(app, url)?;
    let events = event::bits(events)?;
    let (webhook_id, now) = app.clock.stamp();
    let secret = signatures::new_secret();
    let webhook = Model {
        id: webhook_id,
        account_id: caller.account_id,
        url,
        events,
        enabled: true,
        disabled_reason: None,
        secret: sealed(app, caller.account_id, webhook_id, &secret)?,
        earlier_secret: None,
        earlier_until: None,
        failures: 0,
        due_at: None,
        lease_owner: None,
        lease_until: None,
        created_at: now,
        updated_at: now,
    };
    let most = app.config.webhooks.max_per_account;
    let tx = queue::begin(app, caller.account_id, "webhooks.create").await?;
    // Lock the account, because two concurrent calls must not both create the last permitted webhook.
    ensure::lock(&tx, caller.account_id).await?;
    if list::list(&tx, caller.scope(), None, most).await?.len() as u64 >= most {
        let message = format!("the limit of {most} webhooks is reached; delete webhooks that are no longer needed");
        return Err(Error::new(Code::WebhookLimitExceeded, message));
    }
    Entity::insert(webhook.clone().into_active_model())
        .exec_without_returning(&tx)
        .await?;
    tx.commit().await?;
    Ok(WithSecret { webhook, secret })
}

/// Returns the URL in its standard form.
///
/// # Errors
/// INVALID_REQUEST, with the reason.
pub(super) fn checked(app: &App, url: &str) -> Result<String> {
    let parsed = target::parse(&app.config.webhooks, url);
    let refused = |why| Error::invalid_field("url", format!("url: {why}"));
    parsed.map(String::from).map_err(refused)
}
