//! Creates memories, for `CreateMemory` and the tool `remember`.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Select,
};
use uuid::Uuid;

use super::{
    Holder,
    list::{load, within},
    table::{ActiveModel, Column, Entity, Model},
    words,
};
use crate::{
    accounts::{Scope, ensure, queue},
    agents,
    app::App,
    db::{Sql, Tx},
    error::{Code, Error, Result},
    id,
};

#[derive(Clone, Debug)]
pub struct NewMemory {
    pub holder: Holder,
    pub text: String,
    /// `None` if a caller creates the memory.
    pub run_id: Option<Uuid>,
}

/// Creates a memory. If the holder already has a memory with this text, returns that memory.
///
/// # Errors
/// INVALID_REQUEST for an empty or too large text; `AGENT_NOT_FOUND`; `MEMORY_LIMIT_EXCEEDED`.
pub async fn create(app: &App, account_id: Uuid, new: NewMemory) -> Result<Model> {
    let text = checked(app, &new.text)?;
    let scope = Scope::account(account_id);
    let now = app.clock.now();
    let tx = queue::begin(app, account_id, "memories.create").await?;
    // Lock the account, because two concurrent calls must not both create the last permitted memory, or the same
    // memory.
    ensure::lock(&tx, account_id).await?;
    if let Holder::Agent(agent_id) = new.holder {
        agents::load(&tx, scope, agent_id).await?;
    }
    let same = within(scope, Some(new.holder)).filter(Column::Text.eq(text));
    if let Some(same) = same.one(&tx).await? {
        return Ok(same);
    }
    let limits = app.config.memory;
    refuse_full(&tx, within(scope, Some(new.holder)), limits.max_per_agent).await?;
    refuse_full(&tx, within(scope, None), limits.max_per_account).await?;
    let memory_id = id::new();
    let row = ActiveModel {
        number: NotSet,
        id: Set(memory_id),
        account_id: Set(account_id),
        agent_id: Set(new.holder.agent_id()),
        text: Set(text.to_owned()),
        run_id: Set(new.run_id),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Entity::insert(row).exec_without_returning(&tx).await?;
    index(&tx, account_id, memory_id, text).await?;
    let made = load(&tx, scope, None, memory_id).await?;
    tx.commit().await?;
    Ok(made)
}

/// Removes surrounding spaces.
///
/// # Errors
/// INVALID_REQUEST if the text is empty, too large or contains NUL.
pub(super) fn checked<'t>(app: &App, text: &'t str) -> Result<&'t str> {
    let (text, most) = (text.trim(), app.config.memory.max_bytes);
    if text.is_empty() || text.len() > most || text.contains('\0') {
        let message = format!("text must have 1 to {most} bytes, without the character NUL");
        return Err(Error::invalid_field("text", message));
    }
    Ok(text)
}

async fn refuse_full(tx: &Tx, memories: Select<Entity>, most: u64) -> Result<()> {
    let last: Option<Uuid> = memories
        .select_only()
        .column(Column::Id)
        .limit(1)
        .offset(most - 1)
        .into_tuple()
        .one(tx)
        .await?;
    if last.is_none() {
        return Ok(());
    }
    let message = format!("the limit of {most} memories is reached; delete memories that are no longer needed");
    Err(Error::new(Code::MemoryLimitExceeded, message))
}

const INDEX: Sql = Sql::different(
    "INSERT OR REPLACE INTO memories_words (words, rowid) SELECT $1, number FROM memories WHERE account_id = $2 AND id = $3",
    "UPDATE memories SET words = CAST($1 AS tsvector) WHERE account_id = $2 AND id = $3",
);

/// Stores the words of a memory in the search index, in place of any earlier words.
pub(super) async fn index(tx: &Tx, account_id: Uuid, memory_id: Uuid, text: &str) -> Result<()> {
    let words = words::indexed(tx.get_database_backend(), account_id, text);
    tx.change(INDEX.with([words.into(), account_id.into(), memory_id.into()]))
        .await?;
    Ok(())
}
