//! Threads and their messages: the history that a run starts from.

pub mod create;
pub mod list;
pub mod messages;
pub mod moved;
pub mod say;
pub mod table;

pub use create::{create, rename};
pub use list::{find, list, load};
pub use messages::NewMessage;
pub use say::say;
