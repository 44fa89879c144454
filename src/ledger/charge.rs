//! Charges for model calls, written in the transaction that records their usage.
//!
//! The ledger entry of a charge is inserted first. The balance changes only if the entry is new, so a repeated write
//! never charges twice. A charge never exceeds the balance. A call that is free for the account has an entry too,
//! which debits [`Book::Free`].

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    iter,
};

use chrono::{DateTime, Utc};
use sea_orm::Value;
use uuid::Uuid;

use super::{table::entry::Book, wallet};
use crate::{
    clock::Clock,
    db::{ById, ForEach, Tx, by_id},
    error::Result,
};

const BALANCES: ById = by_id!(
    "SELECT account_id, microcredits FROM balances WHERE account_id",
    "ORDER BY account_id FOR UPDATE"
);
const SET_BALANCE: ForEach = ForEach {
    one: "UPDATE balances SET microcredits = $1 WHERE account_id = $2",
    before: "UPDATE balances SET microcredits = v.microcredits FROM (VALUES",
    types: &["bigint", "uuid"],
    after: ") AS v (microcredits, account_id) WHERE balances.account_id = v.account_id",
};
/// Returns a row for each entry that is new.
const INSERT: ForEach = ForEach {
    one: "INSERT INTO ledger_entries (id, account_id, debited, credited, microcredits, uncollected, run_id, step, thread_id, \
          model, input_tokens, output_tokens, estimated, created_at) \
          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (run_id, step) DO NOTHING \
          RETURNING run_id, step",
    before: "INSERT INTO ledger_entries (id, account_id, debited, credited, microcredits, uncollected, run_id, step, \
             thread_id, model, input_tokens, output_tokens, estimated, created_at) VALUES",
    types: &[
        "uuid",
        "uuid",
        "smallint",
        "smallint",
        "bigint",
        "bigint",
        "uuid",
        "integer",
        "uuid",
        "text",
        "bigint",
        "bigint",
        "boolean",
        "timestamptz",
    ],
    after: "ON CONFLICT (run_id, step) DO NOTHING RETURNING run_id, step",
};

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
    let mut costs: BTreeMap<Uuid, i64> = BTreeMap::new();
    for charge in charges.iter().filter(|charge| charge.book == Book::Wallet) {
        let cost = costs.entry(charge.account_id).or_default();
        *cost = cost.saturating_add(charge.microcredits.max(0));
    }
    // If the balance covers all charges of the batch, no charge depends on another, so they are written together.
    let is_covered = |charge: &&Charge| costs.get(&charge.account_id) <= left.get(&charge.account_id);
    let (covered, scarce): (Vec<&Charge>, Vec<&Charge>) = charges.iter().copied().partition(is_covered);
    let mut changed = BTreeSet::new();
    let groups = iter::once(covered.as_slice()).chain(scarce.chunks(1));
    for group in groups {
        let taken: Vec<(&Charge, i64)> = group.iter().map(|charge| (*charge, taken(charge, &left))).collect();
        let rows: Vec<Vec<Value>> = taken
            .iter()
            .map(|(charge, taken)| entry(charge, *taken, clock.stamp()))
            .collect();
        let inserted = tx.rows_of_each(INSERT, &rows, |row| Ok((row.take()?, row.take()?)));
        let inserted: BTreeSet<(Uuid, i32)> = inserted.await?.into_iter().collect();
        for (charge, taken) in taken {
            if taken > 0 && charge.book == Book::Wallet && inserted.contains(&(charge.run_id, charge.step)) {
                *left.entry(charge.account_id).or_default() -= taken;
                changed.insert(charge.account_id);
            }
        }
    }
    let balance = |account_id: &Uuid| Some(vec![(*left.get(account_id)?).into(), (*account_id).into()]);
    let balances: Vec<Vec<Value>> = changed.iter().filter_map(balance).collect();
    Ok(tx.change_each(SET_BALANCE, &balances).await?)
}

/// Amount that a charge takes from its book.
fn taken(charge: &Charge, left: &BTreeMap<Uuid, i64>) -> i64 {
    match charge.book {
        Book::Wallet => charge
            .microcredits
            .clamp(0, left.get(&charge.account_id).copied().unwrap_or_default()),
        Book::Granted | Book::Used | Book::Free => charge.microcredits.max(0),
    }
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

fn entry(charge: &Charge, taken: i64, (id, now): (Uuid, DateTime<Utc>)) -> Vec<Value> {
    vec![
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
    ]
}
