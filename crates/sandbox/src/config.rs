//! The section `sandbox` of the server's configuration.

use std::path::PathBuf;

use serde::Deserialize;

/// Settings of the sandbox, in which commands and tools run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Uid of the first project. If the service runs as root, each project gets its own uid: this uid plus the
    /// project's number.
    pub uid_base: u32,
    /// Root file system whose programs the sandbox uses; `None` for the programs of the host.
    pub rootfs: Option<PathBuf>,
    /// Path of the bubblewrap program; a bare name is looked up in PATH.
    pub bwrap: PathBuf,
    /// Timeout in seconds of a command for which the model sets none.
    pub default_timeout_seconds: u64,
    /// Maximum timeout of a command in seconds; a longer timeout is reduced to this value.
    pub max_timeout_seconds: u64,
    /// Maximum size in bytes of a command's output for the model. If the output is longer, the model receives its
    /// beginning and its end.
    pub max_output_bytes: usize,
    /// Maximum size of a workspace in bytes.
    pub max_workspace_bytes: u64,
    /// Free space in bytes to keep on the data folder's disk, or 5 % of the disk if that is less. Below this reserve,
    /// uploads and new runs are refused, and commands whose workspace grows are killed.
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
    /// The service's program, which converts documents; `None` for the running program. Only tests set it, because
    /// their own program is not the service.
    #[serde(skip)]
    pub program: Option<PathBuf>,
}
