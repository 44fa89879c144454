//! Suggests a name for a thread. The model of the thread's last run chooses it.

use std::time::Duration;

use uuid::Uuid;

use super::{
    list::{self, Listing},
    reserve,
};
use crate::{
    accounts::{Caller, ensure, queue},
    app::App,
    error::Result,
    limits::Plan,
    model_calls::{self, OneOffCall},
    threads::{self, Thread, title},
};

/// Maximum time for each of two waits: for the account's earlier one-off calls, and for the model's answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of output tokens, including reasoning tokens.
const MAX_TOKENS: u32 = 1_000;
/// Maximum size of an answer in bytes; a longer answer is not used.
const MAX_ANSWER: usize = 4_096;

/// Replaces the name of a thread with a suggestion of a model, and returns the thread. A name that a caller chose
/// stays, and then no model is called. A failed call is not an error: the thread keeps its name.
///
/// # Errors
/// `THREAD_NOT_FOUND`; INSUFFICIENT_CREDITS if the balance does not cover the call; UNAVAILABLE if too many one-off
/// calls of the account are waiting or if the wait times out; database errors.
pub async fn suggest(app: &App, caller: &Caller, thread_id: Uuid) -> Result<Thread> {
    let (db, scope) = (app.db.read(), caller.scope());
    let thread = threads::load(db, scope, thread_id).await?;
    if !thread.name_is_automatic {
        return Ok(thread);
    }
    let Some(message) = title::excerpt(db, scope, thread_id).await? else {
        // A thread without messages may have been deleted since it was read.
        return threads::load(db, scope, thread_id).await;
    };
    let model = model(app, caller, thread_id).await?;
    let call = OneOffCall {
        purpose: "title",
        model: &model,
        system: title::SYSTEM.to_owned(),
        message,
        max_output_tokens: MAX_TOKENS,
        max_answer_bytes: MAX_ANSWER,
        time_limit: TIMEOUT,
    };
    let held = reserve::held(app, caller.account_id);
    let answer = model_calls::call(app, caller.account_id, call, held).await?;
    if let Some(name) = answer.as_deref().and_then(title::title) {
        let tx = queue::begin(app, caller.account_id, "threads.suggest_title").await?;
        tx.change(title::naming(&thread, name)).await?;
        tx.commit().await?;
    }
    // A caller may have renamed or deleted the thread during the call.
    threads::load(app.db.read(), scope, thread_id).await
}

/// The model of the thread's last run if the plan still includes it, otherwise the tier's default model.
async fn model(app: &App, caller: &Caller, thread_id: Uuid) -> Result<String> {
    let tier = ensure::tier(app, app.db.read(), caller.account_id).await?;
    let listing = Listing {
        thread_id: Some(thread_id),
        limit: 1,
        ..Listing::default()
    };
    let last = list::list(app.db.read(), caller.scope(), &listing).await?.pop();
    let plan = Plan {
        tier,
        limits: app.config.limits,
    };
    let admitted = last.and_then(|run| plan.model(Some(&run.model_used), &app.models).ok());
    Ok(admitted.map_or_else(|| tier.default_model.clone(), |admitted| admitted.model().to_owned()))
}
