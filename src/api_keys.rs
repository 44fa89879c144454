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
/// Length of the plain-text start of a key, by which the server finds the row and the owner recognises the key.
const SHOWN: usize = PREFIX.len() + 11;

fn hash(salt: &[u8; 32], key: &str) -> blake3::Hash {
    blake3::keyed_hash(salt, key.as_bytes())
}
