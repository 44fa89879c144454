//! The scope: whose things a query may see. [`of`] is the only place where a query about somebody's things begins.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Select};
use uuid::Uuid;

/// Whose things a query may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    account_id: Option<Uuid>,
}

impl Scope {
    /// The things of one account.
    pub fn account(account_id: Uuid) -> Self {
        Self {
            account_id: Some(account_id),
        }
    }

    /// Everybody's things, for work that the service does of its own accord: claiming, sweeping, recovering. The reason
    /// stands at the call for the reader.
    pub fn system(_reason: &'static str) -> Self {
        Self { account_id: None }
    }
}

/// A table whose rows belong to accounts.
pub trait Owned: EntityTrait {
    /// The column with the owner.
    fn owner() -> Self::Column;
}

/// The rows of a table that a scope may see.
#[expect(clippy::disallowed_methods, reason = "the one place where a query begins")]
pub fn of<E: Owned>(scope: Scope) -> Select<E> {
    match scope.account_id {
        Some(account_id) => E::find().filter(E::owner().eq(account_id)),
        None => E::find(),
    }
}
