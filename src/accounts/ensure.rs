//! Finds or creates the account of a token's subject. `wire/caller.rs` decides whether a subject's first request may
//! create an account.
//!
//! Known subjects are cached without expiry, because an account is never deleted and its id never changes.

use std::sync::Arc;

use moka::future::Cache;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{LockType, OnConflict},
};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

use super::{Scope, of, suspension::Suspensions, table};
use crate::{
    app::App,
    config::Tier,
    db::Tx,
    error::{Error, Result},
    id,
};

const REMEMBERED: u64 = 100_000;

/// Cache of subjects with their account ids, and the lock for account creation.
#[derive(Clone)]
pub struct Accounts {
    known: Cache<(String, String), Uuid>,
    registering: Arc<Mutex<()>>,
    pub suspensions: Suspensions,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            known: Cache::new(REMEMBERED),
            registering: Arc::default(),
            suspensions: Suspensions::default(),
        }
    }
}

impl Accounts {
    /// Locks account creation in this process. If a subject sends several first requests at once, only one of them
    /// creates the account.
    pub async fn registering(&self) -> MutexGuard<'_, ()> {
        self.registering.lock().await
    }
}

/// Returns `None` if the subject has no account.
pub async fn find(app: &App, issuer: &str, subject: &str) -> Result<Option<Uuid>> {
    let key = (issuer.to_owned(), subject.to_owned());
    if let Some(account_id) = app.accounts.known.get(&key).await {
        return Ok(Some(account_id));
    }
    let found = row(app.db.read(), issuer, subject).await?;
    if let Some(account_id) = found {
        app.accounts.known.insert(key, account_id).await;
    }
    Ok(found)
}

async fn row(db: &impl ConnectionTrait, issuer: &str, subject: &str) -> Result<Option<Uuid>> {
    let found = of::<table::Entity>(Scope::system("the caller is not known yet"))
        .filter(table::Column::Issuer.eq(issuer))
        .filter(table::Column::Subject.eq(subject))
        .one(db)
        .await?;
    Ok(found.map(|found| found.id))
}

/// Creates an account in the first configured tier. Returns the id of the new account, or of the subject's existing
/// account.
pub async fn create(app: &App, issuer: &str, subject: &str) -> Result<Uuid> {
    let tx = app.db.begin("accounts.ensure").await?;
    let account_id = insert(app, &tx, issuer, subject).await?;
    tx.commit().await?;
    let key = (issuer.to_owned(), subject.to_owned());
    app.accounts.known.insert(key, account_id).await;
    Ok(account_id)
}

/// Does the work of [`create`] in the caller's transaction.
pub async fn insert(app: &App, tx: &Tx, issuer: &str, subject: &str) -> Result<Uuid> {
    let new = table::ActiveModel {
        id: Set(id::new()),
        issuer: Set(issuer.to_owned()),
        subject: Set(subject.to_owned()),
        tier: Set(app.tiers.first().name.clone()),
        created_at: Set(app.clock.now()),
        last_active_at: Set(Some(app.clock.now())),
        ..table::ActiveModel::default()
    };
    // Two first requests of a subject can run at the same time. One of them inserts the row, and both read it below.
    let once = OnConflict::columns([table::Column::Issuer, table::Column::Subject])
        .do_nothing()
        .to_owned();
    tx.execute(table::Entity::insert(new).on_conflict(once).query()).await?;
    let found = row(tx, issuer, subject).await?;
    found.ok_or_else(|| {
        Error::internal(
            "the account could not be loaded",
            "the account row is missing after its insert",
        )
    })
}

/// Returns the tier of an account, or the first tier if the account does not exist.
pub async fn tier<'a>(app: &'a App, db: &impl ConnectionTrait, account_id: Uuid) -> Result<&'a Tier> {
    let account = super::find(db, account_id).await?;
    Ok(account.map_or_else(|| app.tiers.first(), |account| app.tiers.load(&account.tier)))
}

/// Loads an account and locks its row, so that concurrent writers check the plan's limits one after another. SQLite
/// needs no row lock, because SQLite runs only one write transaction at a time.
///
/// A stronger lock than `FOR NO KEY UPDATE` would block inserts of rows that reference the account, and could cause a
/// deadlock.
pub async fn lock(tx: &Tx, account_id: Uuid) -> Result<table::Model> {
    let mut query = of::<table::Entity>(Scope::account(account_id));
    if tx.get_database_backend() == sea_orm::DbBackend::Postgres {
        query = query.lock(LockType::NoKeyUpdate);
    }
    query.one(tx).await?.ok_or_else(|| {
        Error::internal(
            "the account could not be loaded",
            format!("the account {account_id} does not exist"),
        )
    })
}
