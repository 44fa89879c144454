//! Writes and reads the messages of threads, in the order in which the model receives them.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    attachments::{self, Attachment},
    table::message::{Column, Delivery, Entity, Model},
};
use crate::{
    accounts::{Scope, of},
    db::{self, Sql, Tx, padded},
    error::{Error, Result},
    llm::Carried,
    v1::MessageRole,
};

/// Permitted row counts of an INSERT on PostgreSQL. Few counts mean few prepared statements. [`padded`] fills a batch
/// with copies of its last row, which the statement ignores.
const SIZES: [usize; 5] = [1, 4, 16, 64, 128];
/// Maximum number of messages in the first query of a read.
const FIRST_PORTION: usize = 8;
/// Maximum number of messages per query.
const LARGEST_PORTION: usize = 128;
/// If the messages of a query have fewer bytes than this in total, the next query reads twice as many messages.
const SMALL_PORTION: usize = 256 * 1024;

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct StoredCall {
    pub id: String,
    pub name: String,
    /// Arguments as the model wrote them.
    pub arguments: String,
}

#[derive(Clone, Debug)]
pub struct NewMessage {
    pub id: Uuid,
    pub role: MessageRole,
    pub content: String,
    pub tool_calls: Vec<StoredCall>,
    /// Provider data that later requests must send back with this message.
    pub carried: Option<Carried>,
    /// Id of the tool call that the message answers; `None` if the message is not a tool message.
    pub tool_call_id: Option<String>,
    /// Names of files in the workspace.
    pub files: Vec<String>,
    /// Records of the files of the message that are in the workspace.
    pub attachments: Vec<Attachment>,
    pub is_error: bool,
    /// True if the model's stream broke off before the message was complete.
    pub partial: bool,
    /// `None` unless the message is added to an unfinished run.
    pub delivery: Option<Delivery>,
}

impl NewMessage {
    pub fn text(id: Uuid, role: MessageRole, content: String) -> Self {
        Self {
            id,
            role,
            content,
            tool_calls: Vec::new(),
            carried: None,
            tool_call_id: None,
            files: Vec::new(),
            attachments: Vec::new(),
            is_error: false,
            partial: false,
            delivery: None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Belongs {
    pub account_id: Uuid,
    pub thread_id: Uuid,
    pub run_id: Option<Uuid>,
}

pub fn row(belongs: Belongs, new: NewMessage, at: DateTime<Utc>) -> Result<Model> {
    let wrong = |error: serde_json::Error| Error::internal("the message could not be encoded", error);
    let files = if new.files.is_empty() {
        None
    } else {
        Some(serde_json::to_value(&new.files).map_err(wrong)?)
    };
    let calls = if new.tool_calls.is_empty() {
        None
    } else {
        Some(serde_json::to_value(&new.tool_calls).map_err(wrong)?)
    };
    let carried = new.carried.as_ref().map(serde_json::to_string);
    Ok(Model {
        id: new.id,
        account_id: belongs.account_id,
        thread_id: belongs.thread_id,
        run_id: belongs.run_id,
        turn: belongs.run_id.unwrap_or(new.id),
        role: i16::try_from(i32::from(new.role)).unwrap_or_default(),
        content: new.content,
        tool_calls: calls,
        carried: carried.transpose().map_err(wrong)?,
        tool_call_id: new.tool_call_id,
        files,
        attachments: attachments::stored(&new.attachments)?,
        is_error: new.is_error,
        partial: new.partial,
        created_at: at,
        delivery: new.delivery,
        read_after: None,
    })
}

const INSERT: Sql = Sql::new(
    "INSERT INTO messages (id, account_id, thread_id, run_id, turn, role, content, tool_calls, carried, tool_call_id, \
     files, attachments, is_error, partial, created_at, delivery) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, \
     $14, $15, $16) \
     ON CONFLICT DO NOTHING",
);

/// Builds the statement that inserts a message. If the id exists already, the statement changes nothing: an earlier
/// attempt has written the message, but the response to its commit was lost.
pub fn insertion(row: Model) -> db::Bound {
    INSERT.with([
        row.id.into(),
        row.account_id.into(),
        row.thread_id.into(),
        row.run_id.into(),
        row.turn.into(),
        row.role.into(),
        row.content.into(),
        row.tool_calls.into(),
        row.carried.into(),
        row.tool_call_id.into(),
        row.files.into(),
        row.attachments.into(),
        row.is_error.into(),
        row.partial.into(),
        row.created_at.into(),
        row.delivery.into(),
    ])
}

/// Inserts messages and ignores existing ids.
pub async fn insert(tx: &Tx, rows: &[&Model]) -> Result<(), DbErr> {
    if tx.get_database_backend() == DbBackend::Postgres {
        for chunk in rows.chunks(SIZES[SIZES.len() - 1]) {
            let rows = padded(chunk, &SIZES).map(|row| (*row).clone().into_active_model());
            let insert = Entity::insert_many(rows).on_conflict(OnConflict::new().do_nothing().to_owned());
            tx.execute_raw(insert.build(DbBackend::Postgres)).await?;
        }
        return Ok(());
    }
    let mut changes = Vec::with_capacity(rows.len());
    changes.extend(rows.iter().map(|row| insertion((*row).clone())));
    tx.change_all(changes).await
}

/// Renames a file in the user message that started a run.
pub async fn rename_file(
    tx: &Tx,
    scope: Scope,
    (thread_id, run_id): (Uuid, Uuid),
    (old, new): (&str, &str),
) -> Result<()> {
    let naming = of::<Entity>(scope)
        .filter(attachments::is_naming(thread_id, run_id))
        .one(tx)
        .await?;
    let Some(naming) = naming else { return Ok(()) };
    let mut files = naming.files.clone().unwrap_or_default();
    for name in files.as_array_mut().into_iter().flatten() {
        if name.as_str() == Some(old) {
            *name = new.into();
        }
    }
    let mut active = naming.into_active_model();
    active.files = Set(Some(files));
    Entity::update(active).exec(tx).await?;
    Ok(())
}

/// Maximum size of a read. The first row is returned even if it exceeds `bytes`.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    pub rows: usize,
    pub bytes: usize,
}

/// Lists the messages after a cursor (`turn` and `id`), oldest first. The flag is true if more messages follow.
pub async fn list(
    db: &impl ConnectionTrait,
    scope: Scope,
    thread_id: Uuid,
    after: Option<(Uuid, Uuid)>,
    bound: Bound,
) -> Result<(Vec<Model>, bool)> {
    let query = of::<Entity>(scope)
        .filter(Column::ThreadId.eq(thread_id))
        .order_by_asc(Column::Turn)
        .order_by_asc(Column::Id);
    read(db, bound, after, |last| match last {
        Some(last) => query.clone().filter(place().gt(values(last))),
        None => query.clone(),
    })
    .await
}

/// Returns the place of a message in its thread, as the cursor of [`list`].
pub async fn place_of(
    db: &impl ConnectionTrait,
    scope: Scope,
    thread_id: Uuid,
    message_id: Uuid,
) -> Result<Option<(Uuid, Uuid)>> {
    Ok(of::<Entity>(scope)
        .select_only()
        .columns([Column::Turn, Column::Id])
        .filter(Column::Id.eq(message_id))
        .filter(Column::ThreadId.eq(thread_id))
        .into_tuple()
        .one(db)
        .await?)
}

/// Returns the newest messages that fit into the bound, sorted from oldest to newest. A run reads its own messages
/// and all messages that are ordered before the run.
pub async fn history(
    db: &impl ConnectionTrait,
    scope: Scope,
    thread_id: Uuid,
    run_id: Uuid,
    bound: Bound,
) -> Result<Vec<Model>> {
    let query = of::<Entity>(scope)
        .filter(Column::ThreadId.eq(thread_id))
        .filter(Column::Turn.lte(run_id))
        .order_by_desc(Column::Turn)
        .order_by_desc(Column::Id);
    let (mut rows, _) = read(db, bound, None, |last| match last {
        Some(last) => query.clone().filter(place().lt(values(last))),
        None => query.clone(),
    })
    .await?;
    rows.reverse();
    Ok(rows)
}

/// Returns the sort key as a tuple. A comparison of tuples can use an index; the equivalent condition with OR cannot.
fn place() -> Expr {
    Expr::tuple([Column::Turn, Column::Id].map(Expr::col))
}

fn values((turn, id): (Uuid, Uuid)) -> Expr {
    Expr::tuple([turn, id].map(Expr::value))
}

/// Reads rows in several queries until the bound is reached. The flag is true if more rows follow. The number of rows
/// per query grows only while the results are small, because messages may be large.
async fn read(
    db: &impl ConnectionTrait,
    bound: Bound,
    mut last: Option<(Uuid, Uuid)>,
    behind: impl Fn(Option<(Uuid, Uuid)>) -> Select<Entity>,
) -> Result<(Vec<Model>, bool)> {
    let (mut rows, mut bytes, mut portion) = (Vec::new(), 0, FIRST_PORTION);
    loop {
        let found = behind(last).limit(portion as u64).all(db).await?;
        let is_all = found.len() < portion;
        let before = bytes;
        for row in found {
            bytes += size(&row);
            if rows.len() == bound.rows || (bytes > bound.bytes && !rows.is_empty()) {
                return Ok((rows, true));
            }
            last = Some((row.turn, row.id));
            rows.push(row);
        }
        if is_all {
            return Ok((rows, false));
        }
        if bytes - before < SMALL_PORTION {
            portion = LARGEST_PORTION.min(portion * 2);
        }
    }
}

fn size(row: &Model) -> usize {
    let json = |json: &Option<serde_json::Value>| json.as_ref().map_or(0, |json| json.to_string().len());
    let carried = row.carried.as_ref().map_or(0, String::len);
    row.content.len() + json(&row.tool_calls) + json(&row.files) + json(&row.attachments) + carried
}
