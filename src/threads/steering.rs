//! Messages that are added to an unfinished run. The run's model receives them before its next call.
//!
//! An added message is stored at once, with the turn of its run. The run's row counts these messages, so that the
//! journal notices one that another process added, and does not complete the run before the model has received it.
//! `read_after` records where the model received the message: it may have been added between a tool call and its result.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use super::table::message::{Column, Delivery, Entity, Model};
use crate::{
    accounts::{Scope, of},
    db::{Bound, Sql},
    error::Result,
};

const READ: Sql = Sql::new(
    "UPDATE messages SET delivery = 2, read_after = (SELECT earlier.id FROM messages AS earlier \
     WHERE earlier.thread_id = $1 AND earlier.turn = $2 AND earlier.delivery IS NULL ORDER BY earlier.id DESC LIMIT 1) \
     WHERE id = $3 AND delivery = 1",
);

/// Builds the statement that marks a message as received after all other messages of its run so far.
pub fn reading(thread_id: Uuid, run_id: Uuid, message_id: Uuid) -> Bound {
    READ.with([thread_id.into(), run_id.into(), message_id.into()])
}

/// Returns the messages that were added to a run, oldest first.
pub async fn added(db: &impl ConnectionTrait, scope: Scope, thread_id: Uuid, run_id: Uuid) -> Result<Vec<Model>> {
    let added = of::<Entity>(scope)
        .filter(Column::ThreadId.eq(thread_id))
        .filter(Column::Turn.eq(run_id))
        .filter(Column::Delivery.is_not_null())
        .order_by_asc(Column::Id);
    Ok(added.all(db).await?)
}

/// Sorts messages as the model of a run receives them. Messages that an ended run has not received follow the other
/// messages of that run. Leaves out those that `run_id` has not received, because its engine asks for them.
pub(super) fn as_received(mut rows: Vec<Model>, run_id: Uuid) -> Vec<Model> {
    rows.retain(|row| row.turn != run_id || row.delivery != Some(Delivery::Pending));
    if rows.iter().all(|row| row.delivery.is_none()) {
        return rows;
    }
    let mut ordered = Vec::with_capacity(rows.len());
    let mut later: HashMap<Uuid, Vec<Model>> = HashMap::new();
    let mut pending: Vec<Model> = Vec::new();
    let known: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let (added, others): (Vec<Model>, Vec<Model>) = rows.into_iter().partition(|row| row.delivery.is_some());
    for row in added {
        match row.read_after.filter(|earlier| known.contains(earlier)) {
            Some(earlier) => later.entry(earlier).or_default().push(row),
            // The message before it is older than all of the rows.
            None if row.delivery == Some(Delivery::Read) => ordered.push(row),
            None => pending.push(row),
        }
    }
    let mut others = others.into_iter().peekable();
    while let Some(row) = others.next() {
        let (id, turn) = (row.id, row.turn);
        ordered.push(row);
        ordered.extend(later.remove(&id).unwrap_or_default());
        if others.peek().is_none_or(|next| next.turn != turn) {
            ordered.extend(pending.extract_if(.., |row| row.turn == turn));
        }
    }
    ordered.extend(pending);
    ordered
}
