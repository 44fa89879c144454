//! What an account has and what it may do: its credits, its tier, and how much of each limit is used.
//!
//! Called by `wire::accounts`. Triggers keep the counts of agents, threads and projects, and runs are counted from their
//! rows, so the answer is exact on the next call.

use sea_orm::{PaginatorTrait, QueryFilter};

use crate::{
    accounts::{Caller, Scope, of, table as accounts},
    app::App,
    error::{Error, Result},
    ledger::wallet,
    runs::table::{Entity, is_unfinished},
};

/// What an account has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The account, which counts what it has.
    pub account: accounts::Model,
    /// What is left, in millionths of a credit.
    pub microcredits: i64,
    /// Unfinished runs.
    pub runs: u64,
}

/// Loads what the caller's account has.
///
/// # Errors
/// Database errors.
pub async fn load(app: &App, caller: &Caller) -> Result<Standing> {
    let (db, scope) = (app.db.read(), Scope::account(caller.account_id));
    let account = of::<accounts::Entity>(scope).one(db).await?;
    Ok(Standing {
        account: account.ok_or_else(|| Error::internal("account", "the caller's account is gone"))?,
        microcredits: wallet::load(app, caller.account_id).await?,
        runs: of::<Entity>(scope).filter(is_unfinished()).count(db).await?,
    })
}
