//! The configuration of the sandbox.

use std::path::PathBuf;

use serde::Deserialize;

/// The sandbox, which executes commands and tools.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// First uid for projects. If the service runs as root, each project gets its own uid, counted from this uid.
    pub uid_base: u32,
    /// Root file system whose programs the sandbox uses; `None` for the programs of the host.
    pub rootfs: Option<PathBuf>,
    /// Path of the bubblewrap program.
    pub bwrap: PathBuf,
    /// Timeout in seconds of a command for which the model sets none.
    pub default_timeout_seconds: u64,
    /// Maximum timeout of a command in seconds.
    pub max_timeout_seconds: u64,
    /// Maximum size in bytes of a command's output for the model. If the output is longer, the model receives its
    /// beginning and its end.
    pub max_output_bytes: usize,
    /// Maximum size of a workspace in bytes.
    pub max_workspace_bytes: u64,
    /// Reserve of free space on the data folder's disk, in bytes. On a small disk, the reserve is 5 % of the disk.
    /// Below the reserve, uploads and new runs are refused, and commands whose workspace grows are killed.
    pub min_free_bytes: u64,
    /// Maximum number of files and folders in a workspace.
    pub max_workspace_files: u64,
    /// Maximum size in bytes of a single file that a command writes.
    pub max_file_bytes: u64,
    /// Maximum size in bytes of the private /tmp of each command.
    pub tmp_bytes: u64,
    /// Maximum memory of one command and its child processes, in bytes.
    pub max_memory_bytes: u64,
    /// Maximum number of processes of one command.
    pub max_processes: u64,
}
