//! Accounts: who owns things, and the scope that every query about somebody's things starts at.

pub mod ensure;
pub mod scope;
pub mod table;

use uuid::Uuid;

pub use ensure::Accounts;
pub use scope::{Owned, Scope, of};

/// Who asks: an account, and what it may do besides using its own things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account_id: Uuid,
    /// The role that the token gives.
    pub role: Role,
}

/// What a caller may do besides using its own things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing.
    User,
    /// Reads timings and metrics, and administers accounts.
    SuperAdmin,
}

impl Caller {
    /// The scope of the caller's own things.
    pub fn scope(&self) -> Scope {
        Scope::account(self.account_id)
    }
}
