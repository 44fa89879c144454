//! Adding a message to a thread without starting a run. It comes after every run that was started before it.

use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel};
use uuid::Uuid;

use super::{
    list::load,
    messages::{self, Belongs, NewMessage},
    table::{message, thread},
};
use crate::{
    accounts::{Caller, ensure, turns},
    app::App,
    error::{Error, Result},
    id,
    v1::MessageRole,
};

/// Bytes of a message at most.
pub const MAX_CONTENT_BYTES: usize = 1024 * 1024;

/// Adds a message of the user, or one that stands for the model.
///
/// # Errors
/// INVALID_REQUEST naming the field, `THREAD_NOT_FOUND`.
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
        // A tool's message without the call that it answers is nothing a model could read.
        MessageRole::Tool => return Err(Error::invalid_field("role", "role must be user or assistant")),
    };
    if content.trim().is_empty() {
        return Err(Error::invalid_field("content", "content is required"));
    }
    if content.len() > MAX_CONTENT_BYTES || content.contains('\0') {
        return Err(Error::invalid_field(
            "content",
            format!("content must have at most {MAX_CONTENT_BYTES} bytes, without the character NUL"),
        ));
    }
    load(app.db.read(), caller.scope(), thread_id).await?;
    let now = app.clock.now();
    let tx = turns::begin(app, caller.account_id, "threads.say").await?;
    // The thread cannot be deleted meanwhile.
    ensure::lock(&tx, caller.account_id).await?;
    let mut thread = load(&tx, caller.scope(), thread_id).await?;
    let belongs = Belongs {
        account_id: caller.account_id,
        thread_id,
        run_id: None,
    };
    let row = messages::row(belongs, NewMessage::text(id::new(), role, content), now)?;
    messages::insert_all(&tx, vec![row.clone()]).await?;
    thread.updated_at = now;
    thread::Entity::update(thread.into_active_model().reset_all())
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(row)
}
