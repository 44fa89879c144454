//! Shares: links with which everybody can read a thread, until they are revoked or expire.
//!
//! `wire/shares.rs` serves both sides. Invariants: the database stores only a salted hash of a token; each token that
//! does not work gets the same error; the foreign keys delete the shares of a deleted thread.

mod create;
mod list;
mod revoke;
mod table;
mod verify;

pub use create::{NewShare, create};
pub use list::list;
pub use revoke::revoke;
pub use table::Model as Share;
pub use verify::verify;

use crate::error::{Code, Error};

/// Distinguishes the tokens of shares from API keys and other secrets.
const PREFIX: &str = "rys_";

fn not_found() -> Error {
    Error::new(Code::ShareNotFound, "Share not found")
}
