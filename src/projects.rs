//! Projects. A project has a workspace and threads. It also has one sandbox, which is created on first use.

pub mod create;
pub mod list;
pub mod sandbox;
pub mod table;
pub mod walks;

pub use create::moved;
pub use list::{Project, find, list, load};
