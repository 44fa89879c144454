//! Memories: short texts that agents keep across threads. A memory belongs to one agent, or to the account.
//!
//! A run accesses memories only through [`RunMemory`]. A run without memory has no `RunMemory`. Every query starts with
//! `list::within`, which restricts the query to an account or to one holder in the account.

pub mod create;
pub mod delete;
pub mod list;
pub mod of_run;
pub mod search;
pub mod section;
mod table;
pub mod tools;
pub mod update;
mod words;

use uuid::Uuid;

pub use create::{NewMemory, create};
pub use delete::delete;
pub use list::{list, load};
pub use of_run::RunMemory;
pub use search::search;
pub use table::Model as Memory;
pub use update::update;

/// The owner of a memory within its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    Agent(Uuid),
    /// The account itself. All agents whose memory scope is the account share its memories.
    Account,
}

impl Holder {
    /// Returns the value of the column `agent_id`.
    pub fn agent_id(self) -> Option<Uuid> {
        match self {
            Self::Agent(agent_id) => Some(agent_id),
            Self::Account => None,
        }
    }
}
