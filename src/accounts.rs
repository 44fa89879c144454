//! Accounts, callers, and the scope that limits a query to one account's rows.

pub mod ensure;
pub mod queue;
pub mod scope;
pub mod table;

use sea_orm::{DeriveActiveEnum, EnumIter};
use uuid::Uuid;

pub use ensure::Accounts;
pub use queue::AccountQueues;
pub use scope::{Owned, Scope, of};

/// The authenticated party behind a request: its account, its role and what its credential allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account_id: Uuid,
    /// Role from the token.
    pub role: Role,
    /// Access within the account: full for a token, the key's scope for an API key.
    pub access: Access,
}

/// Access of a credential within its own account. Each level includes the ones before it.
#[derive(Clone, Copy, Debug, DeriveActiveEnum, EnumIter, Eq, Ord, PartialEq, PartialOrd)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Access {
    /// Read only.
    Read = 1,
    /// Everything except API keys and changes of the account itself.
    Run = 2,
    /// Everything.
    Admin = 3,
}

impl Access {
    /// Name of the level in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Run => "run",
            Self::Admin => "admin",
        }
    }
}

/// Rights of a caller beyond its own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing beyond the own account.
    User,
    /// May read timings and metrics and administer accounts.
    SuperAdmin,
}

impl Caller {
    /// Scope of the caller's own account.
    pub fn scope(&self) -> Scope {
        Scope::account(self.account_id)
    }
}
