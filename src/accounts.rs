//! Accounts, callers, and the scope that limits a query to one account's rows.

pub mod ensure;
mod find;
pub mod list;
pub mod queue;
pub mod scope;
pub mod suspension;
mod table;
pub mod tier;

use std::sync::Arc;

use sea_orm::{DeriveActiveEnum, EnumIter};
use uuid::Uuid;

pub use ensure::Accounts;
pub use find::find;
pub use queue::AccountQueues;
pub use scope::{Owned, Scope, of};
pub use table::Model as Account;

/// The authenticated party behind a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub account_id: Uuid,
    /// Role from the token; always `User` for an API key.
    pub role: Role,
    /// An API key has the access that its creator chose. A token has full access.
    pub access: Access,
    /// The subject of the token, or `api_key:` and the name of the API key. The server itself acts as `schedule:`, `trigger:`
    /// or `run:` and an id.
    pub name: Arc<str>,
}

/// Access level of a credential within its account. Each level includes the rights of the levels before it.
#[derive(Clone, Copy, Debug, DeriveActiveEnum, EnumIter, Eq, Ord, PartialEq, PartialOrd)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub enum Access {
    Read = 1,
    /// May do everything except manage API keys and change the account itself.
    Run = 2,
    Admin = 3,
}

impl Access {
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
    User,
    /// May request the timings of `StartRun` calls, read metrics and administer accounts.
    SuperAdmin,
}

impl Caller {
    pub fn scope(&self) -> Scope {
        Scope::account(self.account_id)
    }
}
