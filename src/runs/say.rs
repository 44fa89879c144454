//! Adds a message to a thread without starting a run, or to the unfinished run of the thread.

use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    accounts::{Caller, Scope, ensure, queue},
    app::App,
    db::{Row, Rows, Sql, Tx},
    error::{Error, Result},
    threads::{
        Delivery, Message, NewMessage, load,
        messages::{self, Belongs},
        moved::moved,
    },
    v1::MessageRole,
};

const UNFINISHED: Sql =
    Sql::new("SELECT id FROM runs WHERE thread_id = $1 AND account_id = COALESCE($2, account_id) AND status = 1");

const COUNT: Sql = Sql::new("UPDATE runs SET added_messages = added_messages + 1 WHERE id = $1 AND status = 1");

pub const MAX_CONTENT_BYTES: usize = 1024 * 1024;

/// An unspecified role means user. If the thread has an unfinished run, the run's model receives a user message before
/// its next call.
///
/// # Errors
/// INVALID_REQUEST, `THREAD_NOT_FOUND`.
pub async fn say(app: &App, caller: &Caller, thread_id: Uuid, role: MessageRole, content: String) -> Result<Message> {
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
    let run_id = match role {
        MessageRole::User => receiver(&tx, caller.scope(), thread_id).await?,
        _ => None,
    };
    let belongs = Belongs {
        account_id: caller.account_id,
        thread_id,
        run_id,
    };
    let mut message = NewMessage::text(message_id, role, content);
    message.delivery = run_id.map(|_| Delivery::Pending);
    let row = messages::row(belongs, message, now)?;
    let mut changes = moved(&thread, None, now);
    changes.push(messages::insertion(row.clone()));
    tx.change_together(changes).await?;
    tx.commit().await?;
    if let Some(run_id) = run_id {
        app.wake.message_added(run_id);
    }
    Ok(row)
}

/// Finds the run that receives a new message of a thread, and counts the message: the oldest unfinished run. The count
/// locks the run's row, so that the run cannot end before the commit.
async fn receiver(tx: &Tx, scope: Scope, thread_id: Uuid) -> Result<Option<Uuid>> {
    let unfinished = UNFINISHED.with([thread_id.into(), scope.account_id().into()]);
    let mut unfinished: Vec<Uuid> = tx.rows(unfinished, read_id).await?;
    unfinished.sort_unstable();
    for run_id in unfinished {
        // On PostgreSQL, the run may have ended since the query.
        if tx.change(COUNT.with([run_id.into()])).await? == 1 {
            return Ok(Some(run_id));
        }
    }
    Ok(None)
}

fn read_id(row: &mut Row<'_>) -> Result<Uuid, DbErr> {
    row.take()
}
