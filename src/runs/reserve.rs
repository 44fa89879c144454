//! Reserving credits for a run, so that the balance never goes below zero.
//!
//! `StartRun` reserves the cost of a usual first call. Before a call that may cost more than is reserved, the worker
//! reserves the maximum cost of that call. The reservation is stored in the run's row and counts only while the run is
//! unfinished. The reservation is released by the charge for the call, or by the end of the run.
//!
//! A decision first locks the balance, and then adds up the reservations in a new statement. This order is safe on
//! PostgreSQL too:
//!
//! - A reservation is made by a writer that holds the lock of the balance until its commit.
//! - A charge releases the reservation first and locks the balance afterwards, but both changes become visible with the
//!   same commit, and the writer holds the lock until then. A decision needs the same lock, so it sees both changes or
//!   neither.
//! - An end without a charge releases the reservation without the lock. The balance stays the same, so a decision that
//!   misses the release only sees fewer credits.
//!
//! A request can end a run during a model call. The reservation is then released before the call is charged. If less
//! than the cost is left in the balance by then, only the rest of the balance is charged.

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
/// Minimum number of output tokens that must be affordable; a smaller answer is not worth a call.
const MIN_OUTPUT_TOKENS: u32 = 256;

/// Maximum usage of the next model call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallEstimate {
    /// Estimated tokens of the prompt.
    pub input_tokens: u64,
    /// Maximum tokens of the answer.
    pub max_output_tokens: u32,
}

/// A reservation for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Reserved amount in millionths of a credit.
    pub microcredits: i64,
    /// Maximum tokens of the answer; fewer than requested if the balance does not cover more.
    pub max_output_tokens: u32,
}

/// Amount that `StartRun` reserves for the first model call.
pub(super) fn first(price: Price, model: &Model) -> i64 {
    price.cost(FIRST_PROMPT_TOKENS, model.max_output_tokens.into())
}

/// Reserves the cost of the next call of a claimed run, in place of the previous reservation. If the balance does not
/// cover the full cost, the maximum length of the answer is reduced to the length that the balance covers.
///
/// # Errors
/// INSUFFICIENT_CREDITS if too little is left; CONTENDED if another worker owns the run; database errors.
pub async fn reserve(app: &App, run: &Run, price: Price, ask: CallEstimate) -> Result<Reservation> {
    let tx = app.db.begin("runs.reserve").await?;
    // Lock the run's row before the balance, in the same order as the journal.
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
    // Lock the balance before adding up the other reservations (see the module's comment).
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
///
/// # Errors
/// Database errors.
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

fn decide(available: i64, price: Price, ask: CallEstimate) -> Result<Reservation> {
    let affordable = price.affordable_output(available, ask.input_tokens);
    let max_output_tokens = u32::try_from(affordable).unwrap_or(u32::MAX).min(ask.max_output_tokens);
    if max_output_tokens < ask.max_output_tokens.min(MIN_OUTPUT_TOKENS) || available <= 0 {
        return Err(Error::new(Code::InsufficientCredits, INSUFFICIENT_CREDITS));
    }
    // If the answer is shortened, reserve the whole available balance. Without this rule, a remainder from rounding
    // would let another run start.
    let microcredits = if max_output_tokens < ask.max_output_tokens {
        available
    } else {
        price.cost(ask.input_tokens, max_output_tokens.into()).min(available)
    };
    Ok(Reservation {
        microcredits,
        max_output_tokens,
    })
}
