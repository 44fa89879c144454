//! The section `sandbox` of the server's configuration.

use std::path::PathBuf;

use serde::Deserialize;

/// Network access of commands.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// No network, not even the host's loopback.
    None,
    /// HTTP and HTTPS to `allowed_hosts`, through a proxy of the service.
    Proxy,
}

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
    /// Network of commands: "none", or "proxy" for HTTP and HTTPS to `allowed_hosts`. The proxy also serves background
    /// processes and stdio MCP servers of runs.
    pub network: Network,
    /// Hosts that commands can reach with `network = "proxy"`: `pypi.org`, `*.example.org` for every name below
    /// example.org, or `example.org:8443`. Without a port, the ports 80 and 443 are allowed.
    pub allowed_hosts: Vec<String>,
    /// If true, commands can also reach hosts of the list that have private, loopback or link-local addresses.
    pub allow_private_addresses: bool,
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
