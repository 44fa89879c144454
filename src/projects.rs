//! Projects: a workspace and the threads around it. A project has one sandbox, made when it is first needed.

pub mod create;
pub mod list;
pub mod sandbox;
pub mod table;
pub mod walks;

pub use create::moved;
pub use list::{Project, find, list, load};
