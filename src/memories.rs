//! Memories: short texts that agents keep across threads. A memory belongs to one agent, or to the account. A run
//! accesses memories only through [`RunMemory`].

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
    /// All agents with the memory scope `account` share the account's memories.
    Account,
}

impl Holder {
    /// The value of the column `agent_id`.
    pub fn agent_id(self) -> Option<Uuid> {
        match self {
            Self::Agent(agent_id) => Some(agent_id),
            Self::Account => None,
        }
    }
}
