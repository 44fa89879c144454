//! The journal's SQL statements.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveEnum, DbErr, Value};
use uuid::Uuid;

use super::{end::RunEnd, log::Spent};
use crate::{
    db::{Bound, ById, ForEach, Row, Sql, Tx, by_id},
    runs::{Status, resume::PARKED_UNTIL},
};

/// Locks the rows in the order of the run ids.
pub(super) const LEASE: ById = by_id!(
    "SELECT id, lease_epoch, status, lease_owner, added_messages FROM runs WHERE id",
    "ORDER BY id FOR UPDATE"
);

/// Adds usage to a run, and releases the credits that were reserved for the model call.
const SPEND: ForEach = ForEach {
    one: "UPDATE runs SET steps = steps + $1, input_tokens = input_tokens + $2, output_tokens = output_tokens + $3, \
          microcredits = microcredits + $4, held_microcredits = 0 WHERE id = $5",
    before: "UPDATE runs SET steps = runs.steps + v.steps, input_tokens = runs.input_tokens + v.input_tokens, \
             output_tokens = runs.output_tokens + v.output_tokens, microcredits = runs.microcredits + v.microcredits, \
             held_microcredits = 0 FROM (VALUES",
    types: &["integer", "bigint", "bigint", "bigint", "uuid"],
    after: ") AS v (steps, input_tokens, output_tokens, microcredits, id) WHERE runs.id = v.id",
};

const END: ForEach = ForEach {
    one: "UPDATE runs SET steps = steps + $1, input_tokens = input_tokens + $2, output_tokens = output_tokens + $3, \
          microcredits = microcredits + $4, held_microcredits = 0, status = $5, error_code = $6, error_message = $7, \
          last_sequence = $8, finished_at = $9, stop_reason = $10, output = $11, lease_owner = NULL, \
          lease_expires_at = NULL WHERE id = $12",
    before: "UPDATE runs SET steps = runs.steps + v.steps, input_tokens = runs.input_tokens + v.input_tokens, \
             output_tokens = runs.output_tokens + v.output_tokens, microcredits = runs.microcredits + v.microcredits, \
             held_microcredits = 0, status = v.status, error_code = v.error_code, error_message = v.error_message, \
             last_sequence = v.last_sequence, finished_at = v.finished_at, stop_reason = v.stop_reason, output = v.output, \
             lease_owner = NULL, lease_expires_at = NULL FROM (VALUES",
    types: &[
        "integer",
        "bigint",
        "bigint",
        "bigint",
        "smallint",
        "text",
        "text",
        "bigint",
        "timestamptz",
        "smallint",
        "text",
        "uuid",
    ],
    after: ") AS v (steps, input_tokens, output_tokens, microcredits, status, error_code, error_message, last_sequence, \
            finished_at, stop_reason, output, id) WHERE runs.id = v.id",
};

/// Makes a run wait and releases its lease. A run whose stop was requested does not wait: the next worker ends it.
const WAIT: Sql = Sql::new(
    "UPDATE runs SET steps = steps + $1, input_tokens = input_tokens + $2, output_tokens = output_tokens + $3, \
     microcredits = microcredits + $4, held_microcredits = 0, \
     waiting_since = CASE WHEN stop_requested THEN waiting_since ELSE $5 END, lease_owner = NULL, lease_expires_at = NULL \
     WHERE id = $6",
);

/// Makes a run wait for subagents. A run whose stop was requested does not wait: the next worker ends it. NULLIF returns
/// NULL with the type of the column, which PostgreSQL requires.
const PARK: Sql = Sql::new(
    "UPDATE runs SET steps = steps + $1, input_tokens = input_tokens + $2, output_tokens = output_tokens + $3, \
     microcredits = microcredits + $4, held_microcredits = 0, lease_owner = NULL, \
     lease_expires_at = CASE WHEN stop_requested THEN NULLIF(lease_expires_at, lease_expires_at) ELSE $5 END WHERE id = $6",
);

#[derive(Clone, Copy)]
pub(super) struct Spending {
    pub(super) run_id: Uuid,
    pub(super) spent: Spent,
}

#[derive(Clone, Copy)]
pub(super) struct Last<'a> {
    pub(super) spending: Spending,
    pub(super) ending: &'a RunEnd,
    pub(super) sequence: Option<i64>,
    pub(super) at: DateTime<Utc>,
}

/// Adds the usage of runs that continue.
pub(super) async fn spend(tx: &Tx, spendings: &[Spending]) -> Result<(), DbErr> {
    let row = |Spending { run_id, spent }: &Spending| {
        let mut values = usage(*spent);
        values.push((*run_id).into());
        values
    };
    let rows: Vec<Vec<Value>> = spendings.iter().map(row).collect();
    tx.change_each(SPEND, &rows).await
}

pub(super) fn wait(Spending { run_id, spent }: Spending, now: DateTime<Utc>) -> Bound {
    let mut values = usage(spent);
    values.extend([now.into(), run_id.into()]);
    WAIT.with(values)
}

pub(super) fn park(Spending { run_id, spent }: Spending) -> Bound {
    let mut values = usage(spent);
    values.extend([PARKED_UNTIL.into(), run_id.into()]);
    PARK.with(values)
}

/// Ends runs and releases their leases.
pub(super) async fn end(tx: &Tx, ends: &[Last<'_>]) -> Result<(), DbErr> {
    let row = |last: &Last<'_>| {
        let (code, message) = last.ending.error.clone().unzip();
        let mut values = usage(last.spending.spent);
        values.extend([
            last.ending.status.into(),
            code.into(),
            message.into(),
            last.sequence.into(),
            last.at.into(),
            last.ending.stop_reason.into(),
            last.ending.output.as_ref().map(ToString::to_string).into(),
            last.spending.run_id.into(),
        ]);
        values
    };
    let rows: Vec<Vec<Value>> = ends.iter().map(row).collect();
    tx.change_each(END, &rows).await
}

fn usage(spent: Spent) -> Vec<Value> {
    let Spent {
        steps,
        input_tokens,
        output_tokens,
        microcredits,
    } = spent;
    vec![
        steps.into(),
        input_tokens.into(),
        output_tokens.into(),
        microcredits.into(),
    ]
}

pub(super) struct Lease {
    pub(super) run_id: Uuid,
    pub(super) epoch: i64,
    pub(super) status: Option<Status>,
    pub(super) is_held: bool,
    pub(super) added_messages: i64,
}

pub(super) fn lease(row: &mut Row<'_>) -> Result<Lease, DbErr> {
    Ok(Lease {
        run_id: row.take()?,
        epoch: row.take()?,
        status: Status::try_from_value(&row.take::<i16>()?).ok(),
        is_held: row.take::<Option<Uuid>>()?.is_some(),
        added_messages: row.take()?,
    })
}
