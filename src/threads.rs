//! Threads and their messages, which form the history of a run.

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
