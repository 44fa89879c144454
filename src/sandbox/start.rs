//! Starting one command: its control group, its limits, its pipes.
//!
//! Called by `execute` on a blocking thread. What was made of a start that fails goes away.

use std::{os::fd::OwnedFd, process::Stdio, sync::Arc};

use rustix::pipe::{PipeFlags, pipe_with};

use super::{
    bwrap::Room,
    cgroup::{Bounds, Group},
    child::Process,
    confine::Confinement,
    gate::Gate,
    host::Host,
    workspace::{Usage, Workspace},
};
use crate::error::{Error, Result};

/// The longest script: the kernel's bound on one argument.
const MAX_SCRIPT_BYTES: usize = 128 * 1024 - 1;
/// bubblewrap and the first process count as processes of the group, beside the command's.
const OWN_PROCESSES: u64 = 3;
/// Set too high to bound anything but a runaway: the kernel counts by uid, late; the control group does it right.
const MAX_PROCESSES_OF_UID: u64 = 2048;
const MAX_OPEN_FILES: u64 = 4096;
/// What POSIX message queues may hold, in bytes: the kernel's default, whatever the service was given.
const MAX_MESSAGE_BYTES: u64 = 819_200;

/// Where commands run and as whom.
#[derive(Clone)]
pub struct Cell {
    /// The host.
    pub host: Arc<Host>,
    /// The workspace; none for a look at the programs.
    pub workspace: Option<Workspace>,
    /// The uid to become; none when the service is not root.
    pub owner: Option<u32>,
}

/// A started command.
pub struct Started {
    /// bubblewrap.
    pub process: Process,
    /// The reading end of its output and errors.
    pub output: OwnedFd,
    /// The reading end of its reports.
    pub status: OwnedFd,
    /// What the command waits behind.
    pub gate: Gate,
    /// Its control group.
    pub group: Option<Group>,
    /// What the workspace held before.
    pub at_start: Usage,
}

impl Cell {
    /// Starts a script. Blocks; to be called within the runtime.
    ///
    /// # Errors
    /// UNAVAILABLE without a working bubblewrap; `FILE_NOT_FOUND` without the workspace; `INVALID_REQUEST` for a script that
    /// cannot be passed.
    pub fn start(&self, script: &str) -> Result<Started> {
        check_script(script)?;
        let failed = |error| Error::internal("the command cannot be started", error);
        let config = &self.host.config;
        let mut layout = self.host.layout(self.workspace.as_ref().map(Workspace::folder))?;
        let at_start = match &self.workspace {
            Some(workspace) => workspace.usage_until(self.host.workspace_limit())?,
            None => Usage::default(),
        };
        if at_start.is_over(self.host.workspace_limit()) {
            layout.room = Room::Full;
        }
        let bounds = Bounds {
            memory: config.max_memory_bytes,
            processes: config.max_processes + OWN_PROCESSES,
        };
        let group = self.host.cgroups.make(bounds).map_err(failed)?;
        let confinement = Confinement {
            join: group.iter().flat_map(Group::joins).collect(),
            become_user: self.owner,
            limits: self.limits(),
            ..Confinement::default()
        };
        let spawned = (|| {
            let (output, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            let errors = writer.try_clone()?;
            let prepared = layout.prepare(script, confinement, Stdio::from(writer), Stdio::from(errors))?;
            // The files go when this returns: bubblewrap has its own by then.
            let process = Process::new(self.host.spawner.spawn(prepared.command)?)?;
            Ok((process, output, prepared.status, prepared.gate))
        })();
        match spawned {
            Ok((process, output, status, gate)) => Ok(Started {
                process,
                output,
                status,
                gate,
                group,
                at_start,
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
        if !self.host.cgroups.bounds_memory() {
            // Not the address space, which some programs only reserve by the terabyte.
            limits.push((libc::RLIMIT_DATA, config.max_memory_bytes));
        }
        limits
    }
}

fn check_script(script: &str) -> Result<()> {
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
