//! API keys. A key is random and is shown only once. The database stores a salted hash of the key. Hashes are compared
//! in constant time.
//!
//! Called by `wire::accounts`, and by `wire::caller` for every request with a key. Keys are not cached, so a revoked or
//! expired key is refused on the next request.

pub mod create;
pub mod list;
pub mod revoke;
mod table;
pub mod verify;

pub use create::{NewKey, create};
pub use revoke::revoke;
pub use table::Model as ApiKey;
pub use verify::verify;

/// Prefix of every key, which distinguishes keys from tokens.
pub const PREFIX: &str = "ry_";
/// Number of characters at the start of a key that are stored as plain text. The server uses them to find the key's
/// row; the owner uses them to recognise the key.
const SHOWN: usize = PREFIX.len() + 11;

fn hash(salt: &[u8; 32], key: &str) -> blake3::Hash {
    blake3::keyed_hash(salt, key.as_bytes())
}
