//! The section `sandbox` of the server's configuration.

use std::path::PathBuf;

use serde::Deserialize;

/// Settings of the sandbox.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Uid of the first project. If the service runs as root, a project's uid is this number plus the project's
    /// number.
    pub uid_base: u32,
    /// Root file system with the programs of the sandbox; by default, the host's.
    pub rootfs: Option<PathBuf>,
    /// Path of bubblewrap, or its name in PATH.
    pub bwrap: PathBuf,
    /// Timeout in seconds of a command, unless the model sets one.
    pub default_timeout_seconds: u64,
    /// Maximum timeout in seconds. A longer timeout is reduced.
    pub max_timeout_seconds: u64,
    /// Maximum bytes of a command's output for the model. The model receives only the beginning and the end of a
    /// longer output.
    pub max_output_bytes: usize,
    /// Maximum bytes of a workspace.
    pub max_workspace_bytes: u64,
    /// Bytes to keep free on the data folder's disk, or 5 % of the disk if that is less. Below this reserve, uploads
    /// and new runs are refused, and commands whose workspace grows are killed.
    pub min_free_bytes: u64,
    /// Maximum number of files and folders in a workspace.
    pub max_workspace_files: u64,
    /// Maximum bytes of a file that a command writes.
    pub max_file_bytes: u64,
    /// Maximum bytes of each command's private /tmp.
    pub tmp_bytes: u64,
    /// Maximum bytes of memory of a command and its child processes.
    pub max_memory_bytes: u64,
    /// Maximum number of processes of a command.
    pub max_processes: u64,
    /// The service's program, which converts documents; `None` for the running program. Only tests set it, because
    /// their own program is not the service.
    #[serde(skip)]
    pub program: Option<PathBuf>,
}
