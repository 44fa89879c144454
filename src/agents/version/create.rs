//! Adding a version to an agent. Fields that the request does not set keep the current version's values.

use uuid::Uuid;

use super::{Content, add};
use crate::{
    accounts::{Caller, ensure, queue},
    agents::{
        list::load,
        table::version,
        update::{self, ContentChange},
    },
    app::App,
    error::Result,
    skills::attached,
};

/// Makes the new version current, even if it equals the previous one.
///
/// # Errors
/// `AGENT_NOT_FOUND`; INVALID_REQUEST with the name of the invalid field; UNKNOWN_MODEL.
pub async fn create(app: &App, caller: &Caller, agent_id: Uuid, change: ContentChange) -> Result<version::Model> {
    change.check(app)?;
    load(app.db.read(), caller.scope(), agent_id).await?;
    let now = app.clock.now();
    let tx = queue::begin(app, caller.account_id, "agents.version").await?;
    let account = ensure::lock(&tx, caller.account_id).await?;
    let before = load(&tx, caller.scope(), agent_id).await?;
    let old = Content::of(&before.version)?;
    let content = change.over(app, &account, old.clone())?;
    if content.skills != old.skills {
        attached::check_known(&tx, caller.scope(), &content.skills).await?;
    }
    let mut row = before.row;
    let added = add(&tx, &mut row, &content, now).await?;
    update::write(&tx, &mut row, now).await?;
    tx.commit().await?;
    Ok(added)
}
