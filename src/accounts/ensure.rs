//! The account of a subject: its row appears on first sight.
//!
//! Called by `wire/caller.rs` for every request, so known subjects are answered from memory. An account is never deleted
//! and its id never changes, so the memory cannot be wrong.

use moka::future::Cache;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{LockType, OnConflict},
};
use uuid::Uuid;

use super::{Scope, of, table};
use crate::{
    app::App,
    config::Tier,
    db::Tx,
    error::{Error, Result},
    id,
};

/// Subjects whose account is remembered.
const REMEMBERED: u64 = 100_000;

/// The memory of known subjects.
#[derive(Clone)]
pub struct Accounts {
    known: Cache<(String, String), Uuid>,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            known: Cache::new(REMEMBERED),
        }
    }
}

/// The account of a subject within its issuer; a new row in the first tier, when the subject is new.
///
/// # Errors
/// Those of the database.
pub async fn ensure(app: &App, issuer: &str, subject: &str) -> Result<Uuid> {
    let key = (issuer.to_owned(), subject.to_owned());
    if let Some(account_id) = app.accounts.known.get(&key).await {
        return Ok(account_id);
    }
    let account_id = match find(app.db.read(), issuer, subject).await? {
        Some(account_id) => account_id,
        None => create(app, issuer, subject).await?,
    };
    app.accounts.known.insert(key, account_id).await;
    Ok(account_id)
}

async fn find(db: &impl ConnectionTrait, issuer: &str, subject: &str) -> Result<Option<Uuid>> {
    let row = of::<table::Entity>(Scope::system("who asks is not known yet"))
        .filter(table::Column::Issuer.eq(issuer))
        .filter(table::Column::Subject.eq(subject))
        .one(db)
        .await?;
    Ok(row.map(|row| row.id))
}

async fn create(app: &App, issuer: &str, subject: &str) -> Result<Uuid> {
    let tx = app.db.begin("accounts.ensure").await?;
    let row = table::ActiveModel {
        id: Set(id::new()),
        issuer: Set(issuer.to_owned()),
        subject: Set(subject.to_owned()),
        tier: Set(app.tiers.first().name.clone()),
        created_at: Set(app.clock.now()),
        ..table::ActiveModel::default()
    };
    // Of two first requests of one subject one inserts; both read what is there then.
    let once = OnConflict::columns([table::Column::Issuer, table::Column::Subject])
        .do_nothing()
        .to_owned();
    tx.execute(table::Entity::insert(row).on_conflict(once).query()).await?;
    let found = find(&tx, issuer, subject).await?;
    tx.commit().await?;
    found.ok_or_else(|| Error::internal("account", "an account vanished while it was made"))
}

/// The tier of an account; the first one for an account that is not there.
///
/// # Errors
/// Those of the database.
pub async fn tier<'a>(app: &'a App, db: &impl ConnectionTrait, account_id: Uuid) -> Result<&'a Tier> {
    let account = of::<table::Entity>(Scope::account(account_id)).one(db).await?;
    Ok(account.map_or_else(|| app.tiers.first(), |account| app.tiers.load(&account.tier)))
}

/// Loads an account and locks its row, so that two writers cannot both see the last free slot. On SQLite the writer lane
/// is the lock. Rows that belong to the account may be written meanwhile: their foreign keys need the account to stay, and
/// whoever holds one of them would wait for this lock while we wait for that row.
///
/// # Errors
/// Those of the database.
pub async fn lock(tx: &Tx, account_id: Uuid) -> Result<table::Model> {
    let mut query = of::<table::Entity>(Scope::account(account_id));
    if tx.get_database_backend() == sea_orm::DbBackend::Postgres {
        query = query.lock(LockType::NoKeyUpdate);
    }
    query
        .one(tx)
        .await?
        .ok_or_else(|| Error::internal("account", format!("the account {account_id} is gone")))
}
