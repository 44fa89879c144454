//! Runs one command, from its start to the end of its last process.
//!
//! `ProjectSandbox::execute` calls [`run`] in a separate task. If the caller drops the future of `execute`, the task
//! cancels the command and cleans up. `spawned` uses [`Running`] for long-lived processes.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus, sync::Arc, time::Duration};

use tokio::{
    net::UnixStream,
    sync::{mpsc, watch},
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Command, CommandEnd, Execution,
    cgroup::Group,
    child::{Process, Watched},
    meter::Meter,
    output::Clip,
    prepared::{Guard, Prepared, field, parse_scope, prepare},
    processes::Scope,
    reading::pump,
    settings_folder::SettingsFolder,
    standby::Standbys,
    start::{Cell, check_script},
    workspace::Usage,
};
use crate::error::{Error, ErrorKind, Result};

/// Time between SIGTERM and SIGKILL after a timeout.
const TIMEOUT_GRACE: Duration = Duration::from_secs(2);
/// Time between SIGTERM and SIGKILL after a cancellation. It is short, because the caller is waiting.
const CANCEL_GRACE: Duration = Duration::from_millis(500);
/// Maximum time to set up a sandbox.
const SETUP: Duration = Duration::from_secs(30);
/// Maximum time until killed processes have ended.
const DEATH: Duration = Duration::from_secs(10);
/// Maximum time until bubblewrap has reported the sandbox's first process.
const REPORT: Duration = Duration::from_secs(2);
/// Maximum time to wait for the exit status after all processes have ended. The wait for the rest of the output has
/// the same maximum.
const DRAIN: Duration = Duration::from_secs(2);
/// If one of these signals, N, kills a program, the shell exits with status 128 + N.
const SIGNALS: std::ops::RangeInclusive<i32> = 1..=31;

/// Runs a command until all its processes have ended. `live` receives output while the channel has room. `standbys`
/// provides the sandbox, if one waits.
pub async fn run(
    cell: Cell,
    standbys: Option<Arc<Standbys>>,
    command: Command,
    live: mpsc::Sender<String>,
    cancel: CancellationToken,
) -> Result<Execution> {
    if cancel.is_cancelled() {
        return Ok(unstarted(CommandEnd::Cancelled));
    }
    check_script(&command.script)?;
    let waiting = standbys.as_ref().and_then(|standbys| standbys.take(&cell));
    let prepared = match waiting {
        Some(prepared) => measured(&cell, prepared).await?,
        None => match stoppable(prepare(&cell, None), &cancel).await {
            Ok(prepared) => prepared?,
            Err(ending) => return Ok(unstarted(ending)),
        },
    };
    let longest = Duration::from_secs(cell.host.config.max_timeout_seconds);
    let until = Instant::now() + command.timeout.min(longest);
    let running = Running::new(cell.clone(), prepared, command.script, live, drop);
    let execution = running.finish(until, &cancel).await;
    // Not earlier, so that the setup does not slow this command down.
    if let Some(standbys) = &standbys {
        standbys.refill(&cell);
    }
    execution
}

/// Measures the workspace again, because it may have changed while the sandbox waited.
async fn measured(cell: &Cell, mut prepared: Prepared) -> Result<Prepared> {
    let cell = cell.clone();
    let state = spawn_blocking(move || cell.measure()).await;
    prepared.state = state.map_err(|error| Error::internal("measuring the workspace failed", error))??;
    Ok(prepared)
}

/// Waits for the setup of a sandbox. The setup does not count towards the time limit of the command.
pub async fn stoppable(
    preparing: impl Future<Output = Result<Prepared>>,
    cancel: &CancellationToken,
) -> Result<Result<Prepared>, CommandEnd> {
    let late = |_| {
        Err(Error::new(
            ErrorKind::Unavailable,
            "the sandbox could not be set up in time",
        ))
    };
    tokio::select! {
        prepared = timeout(SETUP, preparing) => Ok(prepared.unwrap_or_else(late)),
        () = cancel.cancelled() => Err(CommandEnd::Cancelled),
    }
}

/// Returns the result of a command that did not run.
pub fn unstarted(ending: CommandEnd) -> Execution {
    Execution {
        text: String::new(),
        truncated: false,
        ending,
    }
}

pub struct Running {
    cell: Cell,
    process: Process,
    group: Option<Group>,
    at_start: Usage,
    /// The part of bubblewrap's report that has arrived.
    report: watch::Receiver<String>,
    /// Keeps the command's record and its proxy.
    guard: Option<Guard>,
    /// The sandbox has this folder mounted.
    _settings: Option<Arc<SettingsFolder>>,
    /// Opens the gate.
    _opening: AbortOnDropHandle<()>,
    pump: JoinHandle<Clip>,
    /// Makes `pump` stop before the end of the output.
    enough: CancellationToken,
}

impl Running {
    /// Opens the gate and starts the tasks that read the output. `opened` is called with the socket of a long-lived
    /// process when it begins to run. If the sandbox could not be set up, [`Running::finish`] returns the reason.
    pub fn new(
        cell: Cell,
        prepared: Prepared,
        script: String,
        live: mpsc::Sender<String>,
        opened: impl FnOnce(UnixStream) + Send + 'static,
    ) -> Self {
        let enough = CancellationToken::new();
        let max_bytes = cell.host.config.max_output_bytes;
        cell.host.counters.began();
        let (gate, state) = (prepared.gate, prepared.state);
        let opening = tokio::spawn(async move {
            if let Some(gate) = gate
                && let Some(socket) = gate.open(&script, state).await
            {
                opened(socket);
            }
        });
        Self {
            pump: tokio::spawn(pump(prepared.output, prepared.message, max_bytes, live, enough.clone())),
            cell,
            process: prepared.process,
            group: prepared.group,
            at_start: state.usage,
            report: prepared.report,
            guard: prepared.guard,
            _settings: prepared.settings,
            _opening: AbortOnDropHandle::new(opening),
            enough,
        }
    }

    /// Returns when all processes have ended. Ends them at `until`, on `cancel`, or when the command exceeds a limit.
    pub async fn finish(mut self, until: Instant, cancel: &CancellationToken) -> Result<Execution> {
        let watched = watch_limits(
            self.meter(),
            self.report.clone(),
            self.group.as_ref().map(|group| group.list().into()),
        );
        let mut report = self.report.clone();
        let reported = async move {
            if report.wait_for(has_exit_code).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let failed = |error| Error::internal("could not wait for the command to end", error);
        let (ended, status) = tokio::select! {
            // When bubblewrap reports the exit status, all other processes of the sandbox have ended. bubblewrap itself
            // still has to unmount the sandbox, for which the caller does not wait.
            () = reported => (None, None),
            status = self.process.wait() => (None, Some(status.map_err(failed)?)),
            () = cancel.cancelled() => self.stop(CommandEnd::Cancelled).await?,
            () = sleep_until(until) => self.stop(CommandEnd::TimedOut).await?,
            ending = watched => self.stop(ending).await?,
        };
        let exit_code = self.exit_code().await;
        if status.is_some_and(|status| status.signal().is_some()) && ended.is_none() {
            // bubblewrap was killed by the kernel or by a user of the host. The sandbox's other processes must end as
            // well. If that fails, the control group's removal kills them.
            let _ = self.end(CommandEnd::OutOfMemory).await;
        }
        let (mut text, truncated) = self.collect().await?;
        let out_of_memory = self.is_out_of_memory().await;
        let ending = match (ended, status, exit_code) {
            (Some(ending), _, _) => ending,
            (None, status, code) if out_of_memory && code != Some(0) => {
                tracing::debug!(exit_status = ?status, "a command ran out of memory");
                CommandEnd::OutOfMemory
            }
            (None, _, Some(0)) if out_of_memory => {
                text.push_str("\n[a process of this command was killed: out of memory]");
                CommandEnd::Exited(0)
            }
            (None, _, Some(code)) if SIGNALS.contains(&(code - 128)) => CommandEnd::Signalled(code - 128),
            (None, _, Some(code)) => CommandEnd::Exited(code),
            (None, status, None) => lost(status, &text)?,
        };
        if out_of_memory || ending == CommandEnd::OutOfMemory {
            self.cell.host.counters.ran_out_of_memory();
        }
        self.guard = None;
        tokio::spawn(self.clear_away());
        Ok(Execution {
            text,
            truncated,
            ending,
        })
    }

    fn meter(&self) -> Meter {
        let host = &self.cell.host;
        Meter {
            workspace: self.cell.workspace.clone(),
            at_start: self.at_start,
            limit: host.workspace_limit(),
            min_free_bytes: host.config.min_free_bytes,
            max_memory_bytes: (!host.cgroups.bounds_memory()).then_some(host.config.max_memory_bytes),
        }
    }

    async fn stop(&mut self, why: CommandEnd) -> Result<(Option<CommandEnd>, Option<ExitStatus>)> {
        Ok((Some(why), Some(self.end(why).await?)))
    }

    /// Ends all processes with SIGKILL. After a timeout or a cancellation, SIGTERM comes first.
    async fn end(&mut self, why: CommandEnd) -> Result<ExitStatus> {
        // Wait until bubblewrap has reported the sandbox's first process. Soon after its creation, the first process
        // asks the kernel to be killed when bubblewrap ends. If bubblewrap were killed earlier, the first process
        // would keep running.
        let reported = self.report.wait_for(|report| parse_scope(report, None).is_some());
        let _ = timeout(REPORT, reported).await;
        let list = self.group.as_ref().map(|group| group.list().into());
        let scope = parse_scope(&self.report.borrow(), list);
        let first = scope.as_ref().and_then(|scope| Watched::open(scope.first).ok());
        // Another process may have got the first process's pid before the pidfd was opened. If the first process is
        // still in the sandbox now, the pidfd refers to it. Otherwise the pidfd is discarded.
        let first = first.filter(|_| scope.as_ref().is_some_and(Scope::holds_first));
        let grace = match why {
            CommandEnd::TimedOut => TIMEOUT_GRACE,
            CommandEnd::Cancelled => CANCEL_GRACE,
            _ => Duration::ZERO,
        };
        if let Some(scope) = scope.filter(|_| !grace.is_zero()) {
            // Processes that did not get SIGTERM are killed below.
            let _ = spawn_blocking(move || scope.terminate()).await;
            let _ = timeout(grace, self.process.wait()).await;
        }
        self.process.kill();
        let gone = async {
            if let Some(first) = &first {
                first.kill();
                first.wait().await?;
            }
            self.process.wait().await
        };
        match timeout(DEATH, gone).await {
            Ok(status) => status.map_err(|error| Error::internal("could not wait for the command to end", error)),
            Err(_) => Err(Error::new(
                ErrorKind::Internal,
                "the command's processes cannot be killed",
            )),
        }
    }

    /// Returns the exit status from bubblewrap's report. There is none if bubblewrap has not executed the command.
    async fn exit_code(&mut self) -> Option<i32> {
        let reported = self.report.wait_for(has_exit_code);
        let report = timeout(DRAIN, reported).await.ok()?.ok()?;
        field(&report, "exit-code")?.try_into().ok()
    }

    async fn collect(&mut self) -> Result<(String, bool)> {
        if let Ok(clip) = timeout(DRAIN, &mut self.pump).await {
            return clip
                .map(Clip::finish)
                .map_err(|error| Error::internal("reading the command's output failed", error));
        }
        self.enough.cancel();
        let clip = (&mut self.pump).await;
        clip.map(Clip::finish)
            .map_err(|error| Error::internal("reading the command's output failed", error))
    }

    /// Returns whether the kernel killed a process because memory had run out.
    async fn is_out_of_memory(&mut self) -> bool {
        let Some(group) = self.group.take() else { return false };
        let counted = spawn_blocking(move || (group.kills() > 0, group)).await;
        let Ok((is_out_of_memory, group)) = counted else {
            return false;
        };
        self.group = Some(group);
        is_out_of_memory
    }

    /// Waits for the end of bubblewrap and removes the control group.
    async fn clear_away(mut self) {
        // Dropping the process kills it.
        let _ = timeout(DEATH, self.process.wait()).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cell.host.counters.ended();
        self.enough.cancel();
    }
}

/// Returns the result of a command without an exit status. In this case, bubblewrap was killed, or ended before it
/// executed the command.
fn lost(status: Option<ExitStatus>, said: &str) -> Result<CommandEnd> {
    match status.and_then(|status| status.signal()) {
        Some(signal) => Ok(CommandEnd::Signalled(signal)),
        // bubblewrap's message contains paths of the host, so the message is only logged.
        None => {
            Err(Error::new(ErrorKind::Unavailable, "the sandbox could not be set up").caused_by(said.trim().to_owned()))
        }
    }
}

#[expect(clippy::ptr_arg, reason = "the type of the channel's value")]
fn has_exit_code(report: &String) -> bool {
    field(report, "exit-code").is_some()
}

async fn watch_limits(
    meter: Meter,
    mut report: watch::Receiver<String>,
    list: Option<std::path::PathBuf>,
) -> CommandEnd {
    let reported = report.wait_for(|report| parse_scope(report, None).is_some()).await;
    let scope = reported.ok().and_then(|report| parse_scope(&report, list));
    match scope {
        Some(scope) => meter.watch(scope).await,
        None => std::future::pending().await,
    }
}
