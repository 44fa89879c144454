//! The scope of a query: the rows of one account, or of all accounts. Every query of a table with account rows starts
//! with [`of`].

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

    /// The rows of all accounts. `_reason` only documents why the query needs all accounts.
    pub fn system(_reason: &'static str) -> Self {
        Self { account_id: None }
    }

    /// Returns `None` if the scope includes all accounts.
    pub fn account_id(self) -> Option<Uuid> {
        self.account_id
    }
}

/// A table whose rows belong to accounts.
pub trait Owned: EntityTrait {
    /// Column with the id of the owning account.
    fn owner() -> Self::Column;
}

/// Selects the rows of a table that are in the scope.
#[expect(clippy::disallowed_methods, reason = "every query starts here")]
pub fn of<E: Owned>(scope: Scope) -> Select<E> {
    match scope.account_id {
        Some(account_id) => E::find().filter(E::owner().eq(account_id)),
        None => E::find(),
    }
}
