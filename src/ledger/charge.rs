//! Charges for model calls, written in the transaction that records their usage.
//!
//! The ledger entry of a charge is inserted first. The balance changes only if the entry is new, so a repeated write
//! never charges twice. A charge never exceeds the balance. A call that is free for the account has an entry too,
//! which debits [`Book::Free`].

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{table::entry::Book, wallet};
use crate::{
    clock::Clock,
    db::{Bound, ById, Sql, Tx, by_id},
    error::Result,
};

const BALANCES: ById = by_id!(
    "SELECT account_id, microcredits FROM balances WHERE account_id",
    "ORDER BY account_id FOR UPDATE"
);
const SET_BALANCE: Sql = Sql::new("UPDATE balances SET microcredits = $1 WHERE account_id = $2");
const INSERT: Sql = Sql::new(
    "INSERT INTO ledger_entries (id, account_id, debited, credited, microcredits, uncollected, run_id, step, thread_id, \
     model, input_tokens, output_tokens, estimated, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (run_id, step) DO NOTHING",
);

/// The charge for a model call of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    pub account_id: Uuid,
    /// Book that is debited.
    pub book: Book,
    pub run_id: Uuid,
    pub thread_id: Uuid,
    /// Number of the model call in the run, from 1.
    pub step: i32,
    /// Public name.
    pub model: String,
    pub input_tokens: i64,
    pub output_tokens: i64,
    /// True if the token counts are estimates.
    pub estimated: bool,
    pub microcredits: i64,
}

/// The calling function must have locked the rows of the runs.
pub async fn write(tx: &Tx, charges: &[&Charge], clock: &Clock) -> Result<()> {
    if charges.is_empty() {
        return Ok(());
    }
    let mut left = find_locked(tx, charges).await?;
    for charge in charges {
        let balance = left.entry(charge.account_id).or_default();
        let taken = match charge.book {
            Book::Wallet => charge.microcredits.clamp(0, *balance),
            Book::Granted | Book::Used | Book::Free => charge.microcredits.max(0),
        };
        let inserted = tx.change(insertion(charge, taken, clock.stamp())).await?;
        if inserted == 1 && taken > 0 && charge.book == Book::Wallet {
            *balance -= taken;
            let values = [(*balance).into(), charge.account_id.into()];
            tx.change(SET_BALANCE.with(values)).await?;
        }
    }
    Ok(())
}

// Locks the balances in the order of the account ids, so that two writers cannot deadlock. Every charge needs a
// balance row, so a missing row is inserted.
async fn find_locked(tx: &Tx, charges: &[&Charge]) -> Result<BTreeMap<Uuid, i64>> {
    let accounts: BTreeSet<Uuid> = charges.iter().map(|charge| charge.account_id).collect();
    let accounts: Vec<Uuid> = accounts.into_iter().collect();
    let found = tx.rows_by_id(BALANCES, &accounts, |row| Ok((row.take()?, row.take()?)));
    let mut left: BTreeMap<Uuid, i64> = found.await?.into_iter().collect();
    for account_id in accounts {
        if let Entry::Vacant(vacant) = left.entry(account_id) {
            wallet::make(tx, account_id).await?;
            vacant.insert(0);
        }
    }
    Ok(left)
}

fn insertion(charge: &Charge, taken: i64, (id, now): (Uuid, DateTime<Utc>)) -> Bound {
    INSERT.with([
        id.into(),
        charge.account_id.into(),
        charge.book.into(),
        Book::Used.into(),
        taken.into(),
        (charge.microcredits.max(0) - taken).into(),
        charge.run_id.into(),
        charge.step.into(),
        charge.thread_id.into(),
        charge.model.clone().into(),
        charge.input_tokens.into(),
        charge.output_tokens.into(),
        charge.estimated.into(),
        now.into(),
    ])
}
