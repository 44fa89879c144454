//! Projects. A project has a workspace, threads and one sandbox, which is created on first use.

pub mod create;
mod delete;
pub mod list;
pub mod on_demand;
pub mod sandbox;
mod table;
pub mod walks;

pub use create::{insertion, moved};
pub use delete::delete;
pub use list::{Project, find, list, load};
pub use on_demand::OnDemand;
pub use table::{project::Model as ProjectRow, sandbox::Model as SandboxRow};
