//! Suspended accounts. Their ids are in memory, so that the check of a request needs no query.
//!
//! A process that suspends an account changes its own list at once. Other processes read the list every few seconds
//! (`background`). The start of a run reads the account's row, so no run starts after the suspension is committed.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use uuid::Uuid;

use super::{
    Scope, of,
    table::{Column, Entity},
};
use crate::{
    app::App,
    db::Tx,
    error::{Code, Error, Result},
};

/// The actor that stops the runs of a suspended account, as the runs name it.
pub const ACTOR: &str = "administrator";
/// Number of ids that one query reads.
const PAGE: u64 = 1_000;
/// Maximum number of times that the list is read while this process changes it. The next refresh reads it again.
const ATTEMPTS: usize = 3;

/// The ids of the suspended accounts.
#[derive(Clone, Default)]
pub struct Suspensions {
    ids: Arc<ArcSwap<HashSet<Uuid>>>,
    /// Number of changes by this process.
    changes: Arc<Mutex<u64>>,
}

impl Suspensions {
    /// # Errors
    /// ACCOUNT_SUSPENDED.
    pub fn check(&self, account_id: Uuid) -> Result<()> {
        if self.contains(account_id) {
            return Err(refusal());
        }
        Ok(())
    }

    pub fn contains(&self, account_id: Uuid) -> bool {
        let ids = self.ids.load();
        !ids.is_empty() && ids.contains(&account_id)
    }

    pub fn all(&self) -> Arc<HashSet<Uuid>> {
        self.ids.load_full()
    }

    /// Changes the list of this process. Call this after the commit.
    pub fn note(&self, account_id: Uuid, is_suspended: bool) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        *changes += 1;
        let mut ids = HashSet::clone(&self.ids.load());
        if is_suspended {
            ids.insert(account_id);
        } else {
            ids.remove(&account_id);
        }
        self.ids.store(Arc::new(ids));
    }

    /// Stores ids that were read after `before` changes. Returns false if this process has changed the list since.
    fn replace(&self, ids: HashSet<Uuid>, before: u64) -> bool {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = *changes == before;
        if is_current {
            self.ids.store(Arc::new(ids));
        }
        is_current
    }

    fn changes(&self) -> u64 {
        *self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error for calls and runs of a suspended account.
pub fn refusal() -> Error {
    Error::new(
        Code::AccountSuspended,
        "this account is suspended; contact the operator of this server",
    )
}

/// Reads the list from the database.
pub async fn refresh(app: &App) -> Result<()> {
    let suspensions = &app.accounts.suspensions;
    for _ in 0..ATTEMPTS {
        let before = suspensions.changes();
        if suspensions.replace(read(app.db.read()).await?, before) {
            break;
        }
    }
    Ok(())
}

async fn read(db: &impl ConnectionTrait) -> Result<HashSet<Uuid>> {
    let mut ids = HashSet::new();
    let mut last = Uuid::nil();
    loop {
        let page: Vec<Uuid> = of::<Entity>(Scope::system("the server reads which accounts are suspended"))
            .select_only()
            .column(Column::Id)
            .filter(Column::SuspendedAt.is_not_null())
            .filter(Column::Id.gt(last))
            .order_by_asc(Column::Id)
            .limit(PAGE)
            .into_tuple()
            .all(db)
            .await?;
        ids.extend(&page);
        match page.last() {
            Some(id) if page.len() as u64 == PAGE => last = *id,
            _ => return Ok(ids),
        }
    }
}

/// Suspends the account, or ends its suspension. The calling function must have locked the account.
pub async fn set(tx: &Tx, account_id: Uuid, suspended: Option<(DateTime<Utc>, &str)>) -> Result<()> {
    let (at, reason) = suspended.unzip();
    Entity::update_many()
        .col_expr(Column::SuspendedAt, Expr::value(at))
        .col_expr(Column::SuspendedReason, Expr::value(reason))
        .filter(Column::Id.eq(account_id))
        .exec(tx)
        .await?;
    Ok(())
}
