//! Starts a command, and creates its control group, limits and pipes.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    process::Stdio,
    sync::Arc,
};

use rustix::pipe::{PipeFlags, pipe_with};

use super::{
    bwrap::{Launch, Room},
    cgroup::{Bounds, Group},
    child::Process,
    confine::Confinement,
    convert,
    gate::Gate,
    gateway::Gateway,
    host::Host,
    settings_folder::SettingsFolder,
    workspace::{Usage, Workspace},
};
use crate::{
    ReadOnlyFolder,
    error::{Error, Result},
};

/// Maximum script size in bytes: the kernel's limit on one argument of a program.
pub const MAX_SCRIPT_BYTES: usize = 128 * 1024 - 1;
/// Maximum number of bubblewrap's own processes, which the control group counts too.
const OWN_PROCESSES: u64 = 3;
/// Maximum number of processes per uid, a second barrier against runaway commands. All commands of the uid share it.
/// The control group enforces the limit of one command.
const MAX_PROCESSES_OF_UID: u64 = 2048;
const MAX_OPEN_FILES: u64 = 4096;
/// Maximum size of POSIX message queues in bytes; the kernel's default.
const MAX_MESSAGE_BYTES: u64 = 819_200;

/// The environment of a command: host, workspace, uid and read-only folders.
#[derive(Clone)]
pub struct Cell {
    pub host: Arc<Host>,
    /// Workspace of the command; `None` for the command that lists the installed programs.
    pub workspace: Option<Workspace>,
    /// Uid of the command; `None` when the service is not root.
    pub owner: Option<u32>,
    pub folders: Arc<[ReadOnlyFolder]>,
    /// Proxy of the command; `None` without a network.
    pub gateway: Option<Arc<dyn Gateway>>,
    /// The service's own program, which the process can execute. Set only for a conversion, which has the limits of
    /// `convert` and the programs of the host.
    pub converter: Option<Arc<OwnedFd>>,
}

/// A started sandbox, which waits at its gate.
pub struct Started {
    pub process: Process,
    /// Read end of the pipe for standard error. A command's standard output uses the same pipe.
    pub output: OwnedFd,
    /// Read end of the pipe for standard output of a long-lived process.
    pub stdout: Option<OwnedFd>,
    /// Read end of the pipe for bubblewrap's report.
    pub status: OwnedFd,
    pub gate: Gate,
    pub group: Option<Group>,
    pub state: WorkspaceState,
    /// Must exist until the sandbox has ended.
    pub settings: Option<Arc<SettingsFolder>>,
}

/// A workspace when its command starts.
#[derive(Clone, Copy, Debug)]
pub struct WorkspaceState {
    pub usage: Usage,
    pub room: Room,
}

impl Cell {
    /// Measures the workspace. Blocks.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` when the workspace does not exist.
    pub fn measure(&self) -> Result<WorkspaceState> {
        let limit = self.host.workspace_limit();
        let usage = match &self.workspace {
            Some(workspace) => workspace.usage_until(limit)?,
            None => Usage::default(),
        };
        let room = if usage.is_over(limit) { Room::Full } else { Room::Free };
        Ok(WorkspaceState { usage, room })
    }

    /// Starts the sandbox of a command, or of a long-lived process with the given script. Blocks, and needs a tokio
    /// runtime.
    ///
    /// # Errors
    /// UNAVAILABLE when bubblewrap does not work; `FILE_NOT_FOUND` when the workspace does not exist.
    pub fn start(&self, script: Option<&str>) -> Result<Started> {
        let started = self.spawn(script);
        if started.is_err() {
            self.host.counters.failed();
        }
        started
    }

    fn spawn(&self, script: Option<&str>) -> Result<Started> {
        let failed = |error| Error::internal("the command cannot be started", error);
        let config = &self.host.config;
        let mut layout = self.host.layout(self.workspace.as_ref().map(Workspace::folder))?;
        let state = self.measure()?;
        let launch = script.map_or(Launch::Command, |script| Launch::Process(script, state.room));
        layout.folders = &self.folders;
        layout.has_proxy = self.gateway.is_some();
        if self.converter.is_some() {
            layout.root = Path::new("/");
        }
        let settings = self.host.settings.current(layout.root);
        layout.settings = settings.as_deref();
        let bounds = Bounds {
            memory: config.max_memory_bytes,
            processes: config.max_processes + OWN_PROCESSES,
        };
        let group = self.host.cgroups.make(bounds).map_err(failed)?;
        let confinement = Confinement {
            join: group.iter().flat_map(Group::joins).collect(),
            become_user: self.owner,
            limits: self.limits(),
            keep: self.converter.iter().map(AsRawFd::as_raw_fd).collect(),
            ..Confinement::default()
        };
        let spawned = (|| {
            let (output, errors) = pipe_with(PipeFlags::CLOEXEC)?;
            let (stdout, writer) = match launch {
                Launch::Command => (None, errors.try_clone()?),
                Launch::Process(..) => {
                    let (stdout, writer) = pipe_with(PipeFlags::CLOEXEC)?;
                    (Some(stdout), writer)
                }
            };
            let prepared = layout.prepare(launch, confinement, Stdio::from(writer), Stdio::from(errors))?;
            // bubblewrap has its own copies of the descriptors. The service's copies close when this closure returns.
            let process = Process::new(self.host.spawner.spawn(prepared.command)?)?;
            Ok((process, (output, stdout), prepared.status, prepared.gate))
        })();
        match spawned {
            Ok((process, (output, stdout), status, gate)) => Ok(Started {
                process,
                output,
                stdout,
                status,
                gate,
                group,
                state,
                settings,
            }),
            Err(error) => {
                if let Some(group) = group {
                    group.remove();
                }
                Err(failed(error))
            }
        }
    }

    fn limits(&self) -> Vec<(libc::__rlimit_resource_t, u64)> {
        let config = &self.host.config;
        let mut limits = vec![
            (libc::RLIMIT_FSIZE, config.max_file_bytes),
            (libc::RLIMIT_CORE, 0),
            (libc::RLIMIT_NOFILE, MAX_OPEN_FILES),
            (libc::RLIMIT_NPROC, MAX_PROCESSES_OF_UID),
            (libc::RLIMIT_MSGQUEUE, MAX_MESSAGE_BYTES),
            (libc::RLIMIT_CPU, config.max_timeout_seconds + 10),
        ];
        if self.converter.is_some() {
            limits.retain(|(resource, _)| ![libc::RLIMIT_FSIZE, libc::RLIMIT_CPU].contains(resource));
            limits.extend([
                (libc::RLIMIT_FSIZE, convert::MAX_FILE_BYTES),
                (libc::RLIMIT_CPU, convert::MAX_CPU_SECONDS),
                (libc::RLIMIT_AS, convert::MAX_ADDRESS_BYTES),
            ]);
        } else if !self.host.cgroups.bounds_memory() {
            // Limit data, not address space: some programs reserve terabytes of address space without using it.
            limits.push((libc::RLIMIT_DATA, config.max_memory_bytes));
        }
        limits
    }
}

/// Refuses a script that cannot be an argument of a program.
///
/// # Errors
/// `INVALID_REQUEST` for a script that contains NUL or is too long.
pub fn check_script(script: &str) -> Result<()> {
    if script.contains('\0') {
        return Err(Error::invalid("a command must not contain NUL"));
    }
    if script.len() > MAX_SCRIPT_BYTES {
        return Err(Error::invalid(format!(
            "a command can have up to {MAX_SCRIPT_BYTES} bytes; write a longer one to a file and run that file"
        )));
    }
    Ok(())
}
