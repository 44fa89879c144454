//! Charges for model calls, written in the transaction that records their usage.
//!
//! The entry is inserted first, and the balance changes only if the entry is new, so a repeated write never charges
//! twice. A charge never exceeds the balance. A call that costs the account nothing also has an entry, which debits
//! [`Book::Free`].

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::{
    table::{
        balance,
        entry::{self, Book},
    },
    wallet,
};
use crate::{
    accounts::{Scope, of},
    clock::Clock,
    db::Tx,
    error::Result,
};

/// A model call of a run, with its token counts and its cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    pub account_id: Uuid,
    /// Book that is debited: the account's wallet, or [`Book::Free`] if nothing is charged.
    pub book: Book,
    pub run_id: Uuid,
    pub thread_id: Uuid,
    /// Number of the model call in the run, from 1.
    pub step: i32,
    /// The public name of the model.
    pub model: String,
    /// Number of prompt tokens.
    pub input_tokens: i64,
    /// Number of output tokens.
    pub output_tokens: i64,
    /// True if the token counts are estimates.
    pub estimated: bool,
    /// Cost in millionths of a credit.
    pub microcredits: i64,
}

/// Writes the charges of runs. The calling function must have locked the rows of these runs.
///
/// # Errors
/// Database errors.
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
        let inserted = tx
            .execute(
                entry::Entity::insert(row(charge, taken, clock.stamp()))
                    .on_conflict(
                        OnConflict::columns([entry::Column::RunId, entry::Column::Step])
                            .do_nothing()
                            .to_owned(),
                    )
                    .query(),
            )
            .await?;
        if inserted.rows_affected() == 1 && taken > 0 && charge.book == Book::Wallet {
            *balance -= taken;
            balance::Entity::update_many()
                .col_expr(balance::Column::Microcredits, Expr::value(*balance))
                .filter(balance::Column::AccountId.eq(charge.account_id))
                .exec(tx)
                .await?;
        }
    }
    Ok(())
}

// Locks the balances in the order of the account ids, so that two writers cannot deadlock. Every charge needs a balance
// row, so an account without a balance row gets an empty one.
async fn find_locked(tx: &Tx, charges: &[&Charge]) -> Result<BTreeMap<Uuid, i64>> {
    let mut query = of::<balance::Entity>(Scope::system("the journal charges for the runs of this worker"))
        .filter(balance::Column::AccountId.is_in(charges.iter().map(|charge| charge.account_id)))
        .order_by_asc(balance::Column::AccountId);
    if tx.get_database_backend() == DbBackend::Postgres {
        query = query.lock_exclusive();
    }
    let rows = query.all(tx).await?;
    let mut left: BTreeMap<Uuid, i64> = rows.into_iter().map(|row| (row.account_id, row.microcredits)).collect();
    let missing: BTreeSet<Uuid> = charges.iter().map(|charge| charge.account_id).collect();
    for account_id in missing {
        if let Entry::Vacant(vacant) = left.entry(account_id) {
            wallet::make(tx, account_id).await?;
            vacant.insert(0);
        }
    }
    Ok(left)
}

fn row(charge: &Charge, taken: i64, (id, now): (Uuid, DateTime<Utc>)) -> entry::ActiveModel {
    entry::ActiveModel {
        id: Set(id),
        account_id: Set(charge.account_id),
        debited: Set(charge.book),
        credited: Set(Book::Used),
        microcredits: Set(taken),
        uncollected: Set(charge.microcredits.max(0) - taken),
        run_id: Set(Some(charge.run_id)),
        step: Set(Some(charge.step)),
        thread_id: Set(Some(charge.thread_id)),
        model: Set(Some(charge.model.clone())),
        input_tokens: Set(charge.input_tokens),
        output_tokens: Set(charge.output_tokens),
        estimated: Set(charge.estimated),
        grant_key: Set(None),
        created_at: Set(now),
    }
}
