//! The journal's SQL statements. Only a few different statement texts are used, so that the database keeps the
//! statements prepared. A batch also executes as few statements as possible, because each execution costs a thread hop
//! on SQLite. Unused parameters of a statement get values that change nothing.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryTrait, Statement, UpdateMany,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::log::{RunEnd, Spent};
use crate::{
    db::Tx,
    runs::table::{Column, Entity},
    threads::{Message, messages},
};

/// Allowed numbers of rows in one statement, or of statements in one execution.
const SIZES: [usize; 5] = [1, 4, 16, 64, 128];
/// The largest number in `SIZES`.
const MOST: usize = SIZES[SIZES.len() - 1];

/// Returns the smallest number in `SIZES` that is not less than the number of rows.
fn size_for(rows: usize) -> usize {
    SIZES.into_iter().find(|size| rows <= *size).unwrap_or(rows)
}

/// Repeats the last id until the length of the list is one of `SIZES`.
pub(super) fn filled_up(ids: impl Iterator<Item = Uuid>) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = ids.collect();
    if let Some(last) = ids.last().copied() {
        ids.resize(size_for(ids.len()), last);
    }
    ids
}

/// Inserts messages. Existing rows do not change, so the last message may be repeated until the number of rows is one
/// of the `SIZES`.
pub(super) async fn insert_messages(tx: &Tx, rows: &[&Message]) -> Result<(), DbErr> {
    for chunk in rows.chunks(MOST) {
        let filled = chunk.iter().chain(std::iter::repeat(&chunk[chunk.len() - 1]));
        let rows = filled.take(size_for(chunk.len())).map(|row| (*row).clone());
        tx.execute_all([messages::insert_many(tx.get_database_backend(), rows)])
            .await?;
    }
    Ok(())
}

/// Usage to add to a run's row.
#[derive(Clone, Copy)]
pub(super) struct Spending {
    pub(super) run_id: Uuid,
    pub(super) spent: Spent,
}

/// The end of a run, to be written into the run's row.
#[derive(Clone, Copy)]
pub(super) struct Last<'a> {
    pub(super) spending: Spending,
    pub(super) ending: &'a RunEnd,
    pub(super) sequence: Option<i64>,
    pub(super) at: DateTime<Utc>,
}

/// Usage for an id that no run has. An update with this value changes no row.
const NOBODY: Spending = Spending {
    run_id: Uuid::nil(),
    spent: Spent {
        steps: 0,
        input_tokens: 0,
        output_tokens: 0,
        microcredits: 0,
    },
};

/// Adds usage to the rows of runs.
pub(super) async fn add(tx: &Tx, spendings: &[Spending]) -> Result<(), DbErr> {
    update(tx, spendings, NOBODY, |backend, spending| {
        spend(spending).build(backend)
    })
    .await
}

/// Writes the ends of runs into their rows.
pub(super) async fn end(tx: &Tx, lasts: &[Last<'_>]) -> Result<(), DbErr> {
    let Some(last) = lasts.last() else { return Ok(()) };
    let nobody = Last {
        spending: NOBODY,
        ..*last
    };
    update(tx, lasts, nobody, |backend, last| {
        let (code, message) = last.ending.error.clone().unzip();
        spend(&last.spending)
            .col_expr(Column::Status, Expr::value(last.ending.status))
            .col_expr(Column::ErrorCode, Expr::value(code))
            .col_expr(Column::ErrorMessage, Expr::value(message))
            .col_expr(Column::LastSequence, Expr::value(last.sequence))
            .col_expr(Column::FinishedAt, Expr::value(last.at))
            .col_expr(Column::LeaseOwner, Expr::value(None::<Uuid>))
            .col_expr(Column::LeaseExpiresAt, Expr::value(None::<DateTime<Utc>>))
            .build(backend)
    })
    .await
}

fn spend(Spending { run_id, spent }: &Spending) -> UpdateMany<Entity> {
    let add = |column: Column, more: i64| Expr::col(column).add(more);
    Entity::update_many()
        .col_expr(Column::Steps, add(Column::Steps, spent.steps.into()))
        .col_expr(Column::InputTokens, add(Column::InputTokens, spent.input_tokens))
        .col_expr(Column::OutputTokens, add(Column::OutputTokens, spent.output_tokens))
        .col_expr(Column::Microcredits, add(Column::Microcredits, spent.microcredits))
        // The charge releases the credits that were reserved for the call.
        .col_expr(Column::HeldMicrocredits, Expr::value(0_i64))
        .filter(Column::Id.eq(*run_id))
}

async fn update<T: Copy>(
    tx: &Tx,
    rows: &[T],
    nobody: T,
    statement: impl Fn(DbBackend, &T) -> Statement,
) -> Result<(), DbErr> {
    let backend = tx.get_database_backend();
    for chunk in rows.chunks(MOST) {
        // SQLite executes the statements as one text. The number of statements is one of the `SIZES`, so that only a
        // few texts are used and stay prepared.
        let size = if backend == DbBackend::Sqlite {
            size_for(chunk.len())
        } else {
            chunk.len()
        };
        let filled = chunk.iter().chain(std::iter::repeat(&nobody)).take(size);
        tx.execute_all(filled.map(|row| statement(backend, row)).collect::<Vec<_>>())
            .await?;
    }
    Ok(())
}
