//! Threads and their messages: the history that a run starts from.

pub mod list;
pub mod messages;
pub mod table;

pub use list::{find, list, load};
pub use messages::NewMessage;
