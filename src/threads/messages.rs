//! Messages of a thread: writing one, and reading them in the order in which a model shall see them.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Statement,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::table::message::{Column, Entity, Model};
use crate::{
    accounts::{Scope, of},
    error::{Error, Result},
    v1::MessageRole,
};

/// A tool call as it is stored in the message that made it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct StoredCall {
    /// The call's id.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments, as the text that the model gave.
    pub arguments: String,
}

/// A message to be written.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// The message's UUID.
    pub id: Uuid,
    /// Who said it.
    pub role: MessageRole,
    /// The text.
    pub content: String,
    /// The tools that the model called.
    pub tool_calls: Vec<StoredCall>,
    /// The call that a tool message answers.
    pub tool_call_id: Option<String>,
    /// The names of files in the workspace.
    pub files: Vec<String>,
    /// Whether a tool message says that the tool failed.
    pub is_error: bool,
    /// Whether the model's stream broke before the end.
    pub partial: bool,
}

impl NewMessage {
    /// A message that is text alone.
    pub fn text(id: Uuid, role: MessageRole, content: String) -> Self {
        Self {
            id,
            role,
            content,
            tool_calls: Vec::new(),
            tool_call_id: None,
            files: Vec::new(),
            is_error: false,
            partial: false,
        }
    }
}

/// Where a message belongs.
#[derive(Clone, Copy, Debug)]
pub struct Belongs {
    /// The owner.
    pub account_id: Uuid,
    /// The thread.
    pub thread_id: Uuid,
    /// The run, when it belongs to one.
    pub run_id: Option<Uuid>,
}

/// The row of a new message.
///
/// # Errors
/// INTERNAL, when a list cannot be written as JSON.
pub fn row(belongs: Belongs, new: NewMessage, at: DateTime<Utc>) -> Result<Model> {
    let list = |value: serde_json::Result<serde_json::Value>| value.map_err(|error| Error::internal("message", error));
    let files = if new.files.is_empty() {
        None
    } else {
        Some(list(serde_json::to_value(&new.files))?)
    };
    let calls = if new.tool_calls.is_empty() {
        None
    } else {
        Some(list(serde_json::to_value(&new.tool_calls))?)
    };
    Ok(Model {
        id: new.id,
        account_id: belongs.account_id,
        thread_id: belongs.thread_id,
        run_id: belongs.run_id,
        turn: belongs.run_id.unwrap_or(new.id),
        role: i16::try_from(i32::from(new.role)).unwrap_or_default(),
        content: new.content,
        tool_calls: calls,
        tool_call_id: new.tool_call_id,
        files,
        is_error: new.is_error,
        partial: new.partial,
        created_at: at,
    })
}

/// The statement that writes a message. A message that is there already is the same one, written by a commit whose
/// answer was lost.
pub fn insert(backend: DbBackend, row: Model) -> Statement {
    use sea_orm::sea_query::OnConflict;
    Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .build(backend)
}

/// Writes messages.
///
/// # Errors
/// Those of the database.
pub async fn insert_all(tx: &crate::db::Tx, rows: Vec<Model>) -> Result<(), DbErr> {
    for row in rows {
        tx.execute_raw(insert(tx.get_database_backend(), row)).await?;
    }
    Ok(())
}

/// The messages of a thread after a cursor, oldest first.
///
/// # Errors
/// Those of the database.
pub async fn list(
    db: &impl ConnectionTrait,
    scope: Scope,
    thread_id: Uuid,
    after: Option<(Uuid, Uuid)>,
    limit: u64,
) -> Result<Vec<Model>> {
    let mut query = of::<Entity>(scope).filter(Column::ThreadId.eq(thread_id));
    if let Some((turn, id)) = after {
        let same_turn = Condition::all().add(Column::Turn.eq(turn)).add(Column::Id.gt(id));
        query = query.filter(Condition::any().add(Column::Turn.gt(turn)).add(same_turn));
    }
    Ok(query
        .order_by_asc(Column::Turn)
        .order_by_asc(Column::Id)
        .limit(limit)
        .all(db)
        .await?)
}

/// The newest messages that a run may see, oldest first: those of earlier turns and its own.
///
/// # Errors
/// Those of the database.
pub async fn history(
    db: &impl ConnectionTrait,
    scope: Scope,
    thread_id: Uuid,
    run_id: Uuid,
    limit: u64,
) -> Result<Vec<Model>> {
    let mut rows = of::<Entity>(scope)
        .filter(Column::ThreadId.eq(thread_id))
        .filter(Column::Turn.lte(run_id))
        .order_by_desc(Column::Turn)
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(db)
        .await?;
    rows.reverse();
    Ok(rows)
}
