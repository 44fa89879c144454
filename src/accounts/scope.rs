//! The scope of a query: the rows of one account, or of all accounts. If the rows of a table belong to accounts, every
//! query of the table starts with [`of`].

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Select};
use uuid::Uuid;

/// The rows that a query may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    account_id: Option<Uuid>,
}

impl Scope {
    pub fn account(account_id: Uuid) -> Self {
        Self {
            account_id: Some(account_id),
        }
    }

    /// Creates a scope with the rows of all accounts, for queries such as the one that claims runs. `_reason` only
    /// documents why the query needs all accounts.
    pub fn system(_reason: &'static str) -> Self {
        Self { account_id: None }
    }

    /// Returns the id of the account; `None` if the scope includes all accounts.
    pub fn account_id(self) -> Option<Uuid> {
        self.account_id
    }
}

/// A table whose rows belong to accounts.
pub trait Owned: EntityTrait {
    /// Column with the id of the owning account.
    fn owner() -> Self::Column;
}

/// Starts a query for the rows of a table that are in the scope.
#[expect(clippy::disallowed_methods, reason = "every query starts here")]
pub fn of<E: Owned>(scope: Scope) -> Select<E> {
    match scope.account_id {
        Some(account_id) => E::find().filter(E::owner().eq(account_id)),
        None => E::find(),
    }
}
