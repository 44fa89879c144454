//! API keys. The database stores only a salted hash of a key. On every request, `wire::caller` checks the key in the
//! database. There is no cache, so a revoked or expired key is refused at once.

pub mod create;
pub mod list;
pub mod revoke;
mod table;
pub mod verify;

pub use create::{NewKey, create};
pub use revoke::revoke;
pub use table::Model as ApiKey;
pub use verify::verify;

/// Distinguishes keys from tokens.
pub const PREFIX: &str = "ry_";
