//! Setting credits aside for a run, so that the balance never goes below zero.
//!
//! A start sets aside what a usual first call can cost; the worker's sink sets aside the worst case before each call that
//! needs more. What is set aside stands in the run's own row and counts only while the run is unfinished: ending it by
//! whatever means, or charging for the call, gives it back, and there is nothing to release.

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

/// Tokens of the prompt that a start sets credits aside for.
const FIRST_PROMPT_TOKENS: u64 = 8_000;
/// Tokens of an answer that must be affordable; fewer are not worth a call.
const MIN_OUTPUT_TOKENS: u32 = 256;

/// What the next call of a model may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Tokens of the prompt, estimated.
    pub input_tokens: u64,
    /// Tokens of the answer at most.
    pub max_output_tokens: u32,
}

/// What was set aside for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// How much.
    pub microcredits: i64,
    /// Tokens that the answer may have; fewer than asked for when no more can be paid.
    pub max_output_tokens: u32,
}

/// What a start sets aside for the first call of a model.
pub(super) fn first(price: Price, model: &Model) -> i64 {
    price.cost(FIRST_PROMPT_TOKENS, model.max_output_tokens.into())
}

/// Sets aside what the next call of a claimed run can cost, instead of what was set aside before. When that is more than is
/// left, the answer is made shorter, as far as it makes sense.
///
/// # Errors
/// INSUFFICIENT_CREDITS, when too little is left; CONTENDED, when the lease is another's; those of the database.
pub async fn reserve(app: &App, run: &Run, price: Price, ask: Ask) -> Result<Hold> {
    let tx = app.db.begin("runs.reserve").await?;
    // The run's row before the balance: the journal takes them in this order, too.
    let mut query = of::<Entity>(Scope::account(run.account_id)).filter(Column::Id.eq(run.id));
    if tx.get_database_backend() == DbBackend::Postgres {
        query = query.lock_exclusive();
    }
    let current = query
        .one(&tx)
        .await?
        .is_some_and(|row| row.status == Status::Running && row.lease_epoch == run.lease_epoch);
    if !current {
        return Err(Error::new(Code::Contended, "the run's lease is another worker's"));
    }
    // The balance is locked before the others are summed up: whoever sets more aside has it, too.
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

/// What the unfinished runs of an account have set aside, in microcredits.
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

fn decide(available: i64, price: Price, ask: Ask) -> Result<Hold> {
    let affordable = price.affordable_output(available, ask.input_tokens);
    let max_output_tokens = u32::try_from(affordable).unwrap_or(u32::MAX).min(ask.max_output_tokens);
    if max_output_tokens < ask.max_output_tokens.min(MIN_OUTPUT_TOKENS) || available <= 0 {
        return Err(Error::new(Code::InsufficientCredits, INSUFFICIENT_CREDITS));
    }
    // A shorter answer takes everything: what a rounding leaves over would start another run.
    let microcredits = if max_output_tokens < ask.max_output_tokens {
        available
    } else {
        price.cost(ask.input_tokens, max_output_tokens.into()).min(available)
    };
    Ok(Hold {
        microcredits,
        max_output_tokens,
    })
}
