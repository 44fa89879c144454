//! Threads and their messages. A run sends the earlier messages of its thread to the model.

pub mod attachments;
pub mod create;
mod delete;
pub mod history;
pub mod list;
pub mod messages;
pub mod moved;
pub mod search;
pub mod steering;
mod table;
pub mod title;
pub mod words;

pub use attachments::Attachment;
pub use create::{create, insertion, rename};
pub use delete::delete;
pub use list::{find, list, load};
pub use messages::NewMessage;
pub use table::message::Delivery;
pub use table::{message::Model as Message, thread::Model as Thread};
