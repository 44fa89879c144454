//! Accounts: who owns things, and the scope that every query about somebody's things starts at.

pub mod ensure;
pub mod scope;
pub mod table;
pub mod turns;

use sea_orm::{DeriveActiveEnum, EnumIter};
use uuid::Uuid;

pub use ensure::Accounts;
pub use scope::{Owned, Scope, of};
pub use turns::Turns;

/// Who asks: an account, and what it may do besides using its own things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account_id: Uuid,
    /// The role that the token gives.
    pub role: Role,
    /// What the credential allows in the account: everything for a token, its scope for an API key.
    pub access: Access,
}

/// What a credential allows in its own account; each includes those before it.
#[derive(Clone, Copy, Debug, DeriveActiveEnum, EnumIter, Eq, Ord, PartialEq, PartialOrd)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Access {
    /// Looking.
    Read = 1,
    /// Everything but API keys and the account itself.
    Run = 2,
    /// Everything.
    Admin = 3,
}

impl Access {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Run => "run",
            Self::Admin => "admin",
        }
    }
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
