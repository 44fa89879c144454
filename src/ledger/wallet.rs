//! The balance of an account. The first use in each calendar month (UTC) grants the tier's monthly credits. A month
//! without use grants nothing.

use std::collections::HashMap;

use chrono::{DateTime, Datelike, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryTrait,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use uuid::Uuid;

use super::{
    MICRO,
    table::{
        balance,
        entry::{self, Book},
    },
};
use crate::{
    accounts::{Scope, ensure, of, queue},
    app::App,
    config::Tier,
    db::{Rows, Sql, Tx, locking},
    error::{Error, Result},
};

const FIND: Sql = locking!(
    "SELECT account_id, microcredits, granted_month FROM balances WHERE account_id = $1",
    " FOR UPDATE"
);

/// Locks and returns an account's balance, in millionths of a credit. Monthly credits that are due are added first.
pub async fn lock(app: &App, tx: &Tx, account_id: Uuid) -> Result<i64> {
    let month = month_of(app.clock.now());
    let mut found = find_locked(tx, account_id).await?;
    if found.is_none() {
        make(tx, account_id).await?;
        found = find_locked(tx, account_id).await?;
    }
    let wallet = found.ok_or_else(|| {
        Error::internal(
            "the balance could not be loaded",
            "the balance row is missing after its insert",
        )
    })?;
    if wallet.granted_month >= month {
        return Ok(wallet.microcredits);
    }
    balance::Entity::update_many()
        .col_expr(balance::Column::GrantedMonth, Expr::value(month))
        .filter(balance::Column::AccountId.eq(account_id))
        .exec(tx)
        .await?;
    let tier = ensure::tier(app, tx, account_id).await?;
    let granted = monthly(tier);
    let key = format!("monthly {}-{:02}", month / 12, month % 12 + 1);
    let granted = grant(app, tx, account_id, granted, &key).await?;
    Ok(wallet.microcredits.saturating_add(granted))
}

/// The credits that an account of the tier gets each month, in millionths of a credit.
pub fn monthly(tier: &Tier) -> i64 {
    i64::try_from(tier.credits_granted)
        .unwrap_or(i64::MAX)
        .saturating_mul(MICRO)
}

/// Creates an empty balance unless one exists.
pub(super) async fn make(tx: &Tx, account_id: Uuid) -> Result<()> {
    let row = balance::ActiveModel {
        account_id: Set(account_id),
        microcredits: Set(0),
        granted_month: Set(0),
    };
    let once = OnConflict::column(balance::Column::AccountId).do_nothing().to_owned();
    tx.execute(balance::Entity::insert(row).on_conflict(once).query())
        .await?;
    Ok(())
}

/// A stored balance.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    /// In millionths of a credit.
    pub microcredits: i64,
    /// True if the credits of this month are not added yet.
    pub is_grant_due: bool,
}

/// Returns stored balances by account. An account without a row has an empty balance, and its grant is due.
pub async fn stored(app: &App, account_ids: &[Uuid]) -> Result<HashMap<Uuid, Stored>> {
    if account_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let month = month_of(app.clock.now());
    let rows = of::<balance::Entity>(Scope::system("an administrator lists accounts"))
        .filter(balance::Column::AccountId.is_in(account_ids.iter().copied()))
        .all(app.db.read())
        .await?;
    let stored = |row: balance::Model| Stored {
        microcredits: row.microcredits,
        is_grant_due: row.granted_month < month,
    };
    Ok(rows.into_iter().map(|row| (row.account_id, stored(row))).collect())
}

/// In millionths of a credit. Monthly credits that are due are added first.
pub async fn load(app: &App, account_id: Uuid) -> Result<i64> {
    let wallet = of::<balance::Entity>(Scope::account(account_id))
        .one(app.db.read())
        .await?;
    if let Some(wallet) = wallet.filter(|wallet| wallet.granted_month >= month_of(app.clock.now())) {
        return Ok(wallet.microcredits);
    }
    let tx = queue::begin(app, account_id, "ledger.load").await?;
    // Lock the account's row first, as `StartRun` does, because this transaction may create the balance.
    ensure::lock(&tx, account_id).await?;
    let microcredits = lock(app, &tx, account_id).await?;
    tx.commit().await?;
    Ok(microcredits)
}

/// Grants credits to a locked balance, once per key. Returns the amount of this grant: zero if the key was used
/// before.
pub async fn grant(app: &App, tx: &Tx, account_id: Uuid, microcredits: i64, key: &str) -> Result<i64> {
    let (entry_id, now) = app.clock.stamp();
    let row = entry::ActiveModel {
        id: Set(entry_id),
        account_id: Set(account_id),
        debited: Set(Book::Granted),
        credited: Set(Book::Wallet),
        microcredits: Set(microcredits),
        uncollected: Set(0),
        run_id: Set(None),
        step: Set(None),
        thread_id: Set(None),
        model: Set(None),
        input_tokens: Set(0),
        output_tokens: Set(0),
        estimated: Set(false),
        grant_key: Set(Some(key.to_owned())),
        created_at: Set(now),
    };
    let once = OnConflict::columns([entry::Column::AccountId, entry::Column::GrantKey])
        .target_and_where(entry::Column::GrantKey.is_not_null())
        .do_nothing()
        .to_owned();
    let inserted = tx.execute(entry::Entity::insert(row).on_conflict(once).query()).await?;
    if inserted.rows_affected() == 0 || microcredits == 0 {
        return Ok(0);
    }
    balance::Entity::update_many()
        .col_expr(
            balance::Column::Microcredits,
            Expr::col(balance::Column::Microcredits).add(microcredits),
        )
        .filter(balance::Column::AccountId.eq(account_id))
        .exec(tx)
        .await?;
    Ok(microcredits)
}

/// The amount that was granted under a key, in millionths of a credit; `None` if the key was not used.
pub async fn granted(tx: &Tx, account_id: Uuid, key: &str) -> Result<Option<i64>> {
    let found = of::<entry::Entity>(Scope::account(account_id))
        .filter(entry::Column::GrantKey.eq(key))
        .one(tx)
        .await?;
    Ok(found.map(|entry| entry.microcredits))
}

async fn find_locked(tx: &Tx, account_id: Uuid) -> Result<Option<balance::Model>> {
    let found = tx.row(FIND.with([account_id.into()]), |row| {
        Ok(balance::Model {
            account_id: row.take()?,
            microcredits: row.take()?,
            granted_month: row.take()?,
        })
    });
    Ok(found.await?)
}

fn month_of(now: DateTime<Utc>) -> i32 {
    now.year() * 12 + i32::try_from(now.month0()).unwrap_or_default()
}
