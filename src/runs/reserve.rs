//! Reserves credits for runs, so that the balance never goes below zero.
//!
//! `StartRun` reserves the cost of a typical first call. Before a call that may cost more, the worker reserves the
//! maximum cost of that call. The reservation is stored in the run's row and counts only while the run is unfinished.
//! When the call is charged or the run ends, the reservation is released.
//!
//! A new reservation takes two statements: the first locks the balance, and the second adds up the existing
//! reservations. This order is safe on PostgreSQL, where transactions run concurrently:
//!
//! - A new reservation holds the lock on the balance until its commit.
//! - A charge also holds this lock until its commit, which makes the lower balance and the released reservation
//!   visible together. A new reservation therefore reads both changes or neither.
//! - A run that ends without a charge releases its reservation without the lock. A concurrent reservation may still
//!   count the released one. It then finds fewer credits than are available, never more.
//!
//! A request can end a run during a model call. The reservation is then released before the call is charged. If the
//! balance no longer covers the cost, only the balance is charged.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect, QueryTrait, sea_query::Expr,
};
use uuid::Uuid;

use super::{
    Run, Status,
    table::{Column, Entity, is_unfinished},
};
use crate::{
    accounts::{Scope, of},
    app::App,
    config::Model,
    error::{Code, Error, Result},
    ledger::{Price, wallet},
    limits::INSUFFICIENT_CREDITS,
};

/// Number of prompt tokens for which `StartRun` reserves credits.
const FIRST_PROMPT_TOKENS: u64 = 8_000;
/// Minimum number of output tokens that the balance must cover. A shorter answer is not worth a call.
const MIN_OUTPUT_TOKENS: u32 = 256;

/// Estimated maximum usage of the next model call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallEstimate {
    pub input_tokens: u64,
    pub max_output_tokens: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    pub microcredits: i64,
    /// Fewer than requested if the balance does not cover more.
    pub max_output_tokens: u32,
}

/// The amount that `StartRun` reserves for the first model call, in millionths of a credit.
pub(super) fn first(price: Price, model: &Model) -> i64 {
    price.cost(FIRST_PROMPT_TOKENS, model.max_output_tokens.into())
}

/// Reserves the cost of the next call of a claimed run, in place of the previous reservation. If the balance does not
/// cover the call, the maximum length of the answer is reduced.
///
/// # Errors
/// INSUFFICIENT_CREDITS if the balance does not cover even a short answer; CONTENDED if another worker owns the run;
/// database errors.
pub async fn reserve(app: &App, run: &Run, price: Price, ask: CallEstimate) -> Result<Reservation> {
    let tx = app.db.begin("runs.reserve").await?;
    // Lock the run's row before the balance, as the journal does. A different order could cause a deadlock.
    let mut query = of::<Entity>(Scope::account(run.account_id)).filter(Column::Id.eq(run.id));
    if tx.get_database_backend() == DbBackend::Postgres {
        query = query.lock_exclusive();
    }
    let current = query
        .one(&tx)
        .await?
        .is_some_and(|row| row.status == Status::Running && row.lease_epoch == run.lease_epoch);
    if !current {
        return Err(Error::new(Code::Contended, "another worker owns the run"));
    }
    // Lock the balance before adding up the other reservations; see the top of the file.
    let left = wallet::lock(app, &tx, run.account_id).await?;
    let others = sum_held(&tx, run.account_id, Some(run.id)).await?;
    let hold = decide(left.saturating_sub(others), price, ask)?;
    Entity::update_many()
        .col_expr(Column::HeldMicrocredits, Expr::value(hold.microcredits))
        .filter(Column::AccountId.eq(run.account_id))
        .filter(Column::Id.eq(run.id))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(hold)
}

/// Sum of the reservations of an account's unfinished runs, in millionths of a credit.
pub async fn held(app: &App, account_id: Uuid) -> Result<i64> {
    sum_held(app.db.read(), account_id, None).await
}

async fn sum_held(db: &impl ConnectionTrait, account_id: Uuid, except: Option<Uuid>) -> Result<i64> {
    let held: Vec<i64> = of::<Entity>(Scope::account(account_id))
        .select_only()
        .column(Column::HeldMicrocredits)
        .filter(is_unfinished())
        .apply_if(except, |query, run_id| query.filter(Column::Id.ne(run_id)))
        .into_tuple()
        .all(db)
        .await?;
    Ok(held.iter().sum())
}

/// Returns the output tokens that an amount in millionths of a credit covers, up to `max_output_tokens`; `None` if the
/// amount does not cover even a short answer.
pub fn affordable(available: i64, price: Price, input_tokens: u64, max_output_tokens: u32) -> Option<u32> {
    let affordable = price.affordable_output(available, input_tokens);
    let allowed = u32::try_from(affordable).unwrap_or(u32::MAX).min(max_output_tokens);
    let is_enough = allowed >= max_output_tokens.min(MIN_OUTPUT_TOKENS) && available > 0;
    is_enough.then_some(allowed)
}

fn decide(available: i64, price: Price, ask: CallEstimate) -> Result<Reservation> {
    let max_output_tokens = affordable(available, price, ask.input_tokens, ask.max_output_tokens)
        .ok_or_else(|| Error::new(Code::InsufficientCredits, INSUFFICIENT_CREDITS))?;
    let microcredits = if max_output_tokens < ask.max_output_tokens {
        // The balance limits the answer. Reserve everything that is available: a remainder from rounding would let
        // another run start.
        available
    } else {
        price.cost(ask.input_tokens, max_output_tokens.into()).min(available)
    };
    Ok(Reservation {
        microcredits,
        max_output_tokens,
    })
}
