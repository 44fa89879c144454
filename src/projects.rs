//! Projects: a workspace and its threads. Each project has one sandbox, created on first use.

pub mod create;
pub mod list;
pub mod sandbox;
pub mod table;
pub mod walks;

pub use create::moved;
pub use list::{Project, find, list, load};
