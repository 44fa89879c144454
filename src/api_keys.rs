//! API keys: made at random, shown once, stored as a keyed hash, compared in constant time.
//!
//! Called by `wire::accounts`, and by `wire::caller` for every request that brings one. Nothing is remembered between
//! requests, so a key that is revoked or has expired is of no use for the next request.

pub mod create;
pub mod list;
pub mod revoke;
pub mod table;
pub mod verify;

pub use create::{NewKey, create};
pub use revoke::revoke;
pub use table::Model as ApiKey;
pub use verify::verify;

/// How keys begin, so that they are never mistaken for a token.
pub const PREFIX: &str = "ry_";
/// Characters of the part by which a key is found, and recognised by its owner.
const SHOWN: usize = PREFIX.len() + 11;

/// BLAKE3 of a key, keyed with the salt of its row.
fn hash(salt: &[u8; 32], key: &str) -> blake3::Hash {
    blake3::keyed_hash(salt, key.as_bytes())
}
