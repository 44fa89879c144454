//! The scope of a query: the account whose rows it may see. Every query about owned rows starts at [`of`].

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Select};
use uuid::Uuid;

/// The rows that a query may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    account_id: Option<Uuid>,
}

impl Scope {
    /// Only rows of one account.
    pub fn account(account_id: Uuid) -> Self {
        Self {
            account_id: Some(account_id),
        }
    }

    /// Rows of all accounts, for work that the service starts itself: claiming, sweeping, recovering. The reason is for
    /// readers of the code.
    pub fn system(_reason: &'static str) -> Self {
        Self { account_id: None }
    }
}

/// A table whose rows belong to accounts.
pub trait Owned: EntityTrait {
    /// Column that holds the owning account.
    fn owner() -> Self::Column;
}

/// Starts a query for the rows of a table that the scope may see.
#[expect(clippy::disallowed_methods, reason = "every query starts here")]
pub fn of<E: Owned>(scope: Scope) -> Select<E> {
    match scope.account_id {
        Some(account_id) => E::find().filter(E::owner().eq(account_id)),
        None => E::find(),
    }
}
