//! Balance, tier and usage of an account.
//!
//! Database triggers maintain the counts of agents, threads and projects. Each call counts the unfinished runs.

use crate::{
    accounts::{self, Account, Caller},
    app::App,
    error::{Error, Result},
    ledger::wallet,
    runs,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountState {
    pub account: Account,
    /// Balance in millionths of a credit.
    pub microcredits: i64,
    pub runs: u64,
}

pub async fn load(app: &App, caller: &Caller) -> Result<AccountState> {
    let db = app.db.read();
    let account = accounts::find(db, caller.account_id).await?;
    Ok(AccountState {
        account: account
            .ok_or_else(|| Error::internal("the account could not be loaded", "the caller's account does not exist"))?,
        microcredits: wallet::load(app, caller.account_id).await?,
        runs: runs::list::count_unfinished(db, caller.scope()).await?,
    })
}
