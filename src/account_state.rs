//! Balance, tier and usage of an account.
//!
//! Called by `wire::accounts`. Triggers keep the counts of agents, threads and projects; runs are counted from their
//! rows. The numbers are therefore exact as soon as a change is committed.

use sea_orm::{PaginatorTrait, QueryFilter};

use crate::{
    accounts::{Caller, Scope, of, table as accounts},
    app::App,
    error::{Error, Result},
    ledger::wallet,
    runs::table::{Entity, is_unfinished},
};

/// Balance and usage of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountState {
    /// The account's row, which holds the tier and the counts.
    pub account: accounts::Model,
    /// Balance in millionths of a credit.
    pub microcredits: i64,
    /// Number of unfinished runs.
    pub runs: u64,
}

/// Loads the balance and usage of the caller's account.
///
/// # Errors
/// Database errors.
pub async fn load(app: &App, caller: &Caller) -> Result<AccountState> {
    let (db, scope) = (app.db.read(), Scope::account(caller.account_id));
    let account = of::<accounts::Entity>(scope).one(db).await?;
    Ok(AccountState {
        account: account
            .ok_or_else(|| Error::internal("the account could not be loaded", "the caller's account does not exist"))?,
        microcredits: wallet::load(app, caller.account_id).await?,
        runs: of::<Entity>(scope).filter(is_unfinished()).count(db).await?,
    })
}
