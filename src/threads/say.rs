//! Adds a message to a thread without starting a run.

use uuid::Uuid;

use super::{
    list::load,
    messages::{self, Belongs, NewMessage},
    moved::moved,
    table::message,
};
use crate::{
    accounts::{Caller, ensure, queue},
    app::App,
    error::{Error, Result},
    v1::MessageRole,
};

pub const MAX_CONTENT_BYTES: usize = 1024 * 1024;

/// An unspecified role means user.
///
/// # Errors
/// INVALID_REQUEST, `THREAD_NOT_FOUND`.
pub async fn say(
    app: &App,
    caller: &Caller,
    thread_id: Uuid,
    role: MessageRole,
    content: String,
) -> Result<message::Model> {
    let role = match role {
        MessageRole::Unspecified | MessageRole::User => MessageRole::User,
        MessageRole::Assistant => MessageRole::Assistant,
        // A tool message must answer a tool call, but this request has no call id.
        MessageRole::Tool => return Err(Error::invalid_field("role", "role must be user or assistant")),
    };
    if content.trim().is_empty() {
        return Err(Error::invalid_field("content", "content is required"));
    }
    if content.len() > MAX_CONTENT_BYTES || content.contains('\0') {
        return Err(Error::invalid_field(
            "content",
            format!("content must have at most {MAX_CONTENT_BYTES} bytes and no NUL character"),
        ));
    }
    load(app.db.read(), caller.scope(), thread_id).await?;
    let tx = queue::begin(app, caller.account_id, "threads.say").await?;
    // The lock prevents a concurrent deletion of the thread.
    ensure::lock(&tx, caller.account_id).await?;
    // Message ids and run ids come from the same clock, so the message follows all earlier runs.
    let (message_id, now) = app.clock.stamp();
    let thread = load(&tx, caller.scope(), thread_id).await?;
    let belongs = Belongs {
        account_id: caller.account_id,
        thread_id,
        run_id: None,
    };
    let row = messages::row(belongs, NewMessage::text(message_id, role, content), now)?;
    let mut changes = moved(&thread, None, now);
    changes.push(messages::insertion(row.clone()));
    tx.change_together(changes).await?;
    tx.commit().await?;
    Ok(row)
}
