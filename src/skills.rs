//! Skills: folders of instructions and files in the public Agent Skills format, which agents load when a task needs
//! them.
//!
//! Each uploaded zip archive becomes a version of a skill. Before a run, the worker unpacks the skills of its agent
//! into the data folder. The sandbox mounts these folders read-only at `/skills`.

mod archive;
pub mod attached;
pub mod create;
pub mod delete;
pub mod folder;
mod front_matter;
pub mod list;
mod table;
pub mod tool;

use serde::{Deserialize, Serialize};

pub use archive::MAX_ARCHIVE_BYTES;
pub use attached::Attached;
pub use create::create;
pub use delete::delete;
pub use list::{Details, Skill, list, load};
pub use table::version::Model as SkillVersion;

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct SkillFile {
    /// Path relative to the folder of the skill.
    pub path: String,
    pub size: u64,
    pub executable: bool,
}
