//! Runs one command, from its start to the end of its last process.
//!
//! `ProjectSandbox::execute` calls [`run`] in a separate task. If the caller drops the future of `execute`, the task
//! cancels the command and cleans up. `spawned` uses [`Running`] for long-lived processes.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{
    io::AsyncReadExt,
    net::{UnixStream, unix::pipe},
    sync::{mpsc, watch},
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Command, CommandEnd, Execution,
    cgroup::Group,
    child::{Process, Watched},
    gate::Gate,
    gateway::{self, Gateway},
    meter::Meter,
    output::Clip,
    processes::Scope,
    reading::pump,
    records::Record,
    start::{Cell, Started, Streams},
    workspace::Usage,
};
use crate::error::{Error, ErrorKind, Result};

/// Time between SIGTERM and SIGKILL after a timeout.
const TIMEOUT_GRACE: Duration = Duration::from_secs(2);
/// Time between SIGTERM and SIGKILL after a cancellation. It is short, because the caller is waiting.
const CANCEL_GRACE: Duration = Duration::from_millis(500);
/// Maximum time until killed processes have ended.
const DEATH: Duration = Duration::from_secs(10);
/// Maximum time until bubblewrap has reported the sandbox's first process.
const REPORT: Duration = Duration::from_secs(2);
/// Maximum time to wait for the exit status after all processes have ended. The wait for the rest of the output has
/// the same maximum.
const DRAIN: Duration = Duration::from_secs(2);
/// Maximum bytes of bubblewrap's report, which normally has a few hundred bytes.
const MAX_REPORT_BYTES: u64 = 8192;
/// If one of these signals, N, kills a program, the shell exits with status 128 + N.
const SIGNALS: std::ops::RangeInclusive<i32> = 1..=31;

/// Runs a command until all its processes have ended. `live` receives output while the channel has room.
pub async fn run(
    cell: Cell,
    command: Command,
    live: mpsc::Sender<String>,
    cancel: CancellationToken,
) -> Result<Execution> {
    if cancel.is_cancelled() {
        return Ok(Execution {
            text: String::new(),
            truncated: false,
            ending: CommandEnd::Cancelled,
        });
    }
    let longest = Duration::from_secs(cell.host.config.max_timeout_seconds);
    let until = Instant::now() + command.timeout.min(longest);
    let (starting, script) = (cell.clone(), command.script);
    let started = spawn_blocking(move || starting.start(&script, Streams::Merged)).await;
    let started = started.map_err(|error| Error::internal("starting the command failed", error))??;
    Running::new(cell, started, live, drop)?.finish(until, &cancel).await
}

/// Belongs to a command that runs.
struct Opened {
    _record: Option<Record>,
    /// Ends the proxy's connections when it is dropped.
    _proxy: Option<AbortOnDropHandle<()>>,
}

pub struct Running {
    cell: Cell,
    process: Process,
    group: Option<Group>,
    at_start: Usage,
    /// The part of bubblewrap's report that has arrived.
    report: watch::Receiver<String>,
    /// Records the command, opens its proxy and then lets it run. The result keeps both.
    opening: JoinHandle<Option<Opened>>,
    pump: JoinHandle<Clip>,
    /// Makes `pump` stop before the end of the output.
    enough: CancellationToken,
}

impl Running {
    /// Starts the tasks that read the output and let the command run. `opened` is called with the gate's socket when
    /// the command begins to run.
    pub fn new(
        cell: Cell,
        started: Started,
        live: mpsc::Sender<String>,
        opened: impl FnOnce(UnixStream) + Send + 'static,
    ) -> Result<Self> {
        let failed = |error| Error::internal("the command's output cannot be read", error);
        let output = pipe::Receiver::from_owned_fd(started.output).map_err(failed)?;
        let status = pipe::Receiver::from_owned_fd(started.status).map_err(failed)?;
        let (reported, report) = watch::channel(String::new());
        tokio::spawn(read_report(status, reported));
        let opening = open(cell.clone(), started.gate, report.clone(), opened);
        let opening = tokio::spawn(opening);
        let enough = CancellationToken::new();
        let max_bytes = cell.host.config.max_output_bytes;
        cell.host.counters.began();
        Ok(Self {
            pump: tokio::spawn(pump(output, max_bytes, live, enough.clone())),
            cell,
            process: started.process,
            group: started.group,
            at_start: started.at_start,
            report,
            opening,
            enough,
        })
    }

    /// Returns when all processes have ended. Ends them at `until`, on `cancel`, or when the command exceeds a limit.
    pub async fn finish(mut self, until: Instant, cancel: &CancellationToken) -> Result<Execution> {
        let watched = watch_limits(
            self.meter(),
            self.report.clone(),
            self.group.as_ref().map(|group| group.list().into()),
        );
        let stopped = tokio::select! {
            status = self.process.wait() => Err(status),
            () = cancel.cancelled() => Ok(CommandEnd::Cancelled),
            () = sleep_until(until) => Ok(CommandEnd::TimedOut),
            ending = watched => Ok(ending),
        };
        let (ended, status) = match stopped {
            Ok(ending) => (Some(ending), self.end(ending).await),
            Err(status) => (
                None,
                status.map_err(|error| Error::internal("could not wait for the command to end", error)),
            ),
        };
        let exit_code = self.exit_code().await;
        let status = match status {
            Ok(status) if status.signal().is_some() && ended.is_none() => {
                // bubblewrap was killed by the kernel or by a user of the host. The sandbox's other processes must
                // end as well.
                self.end(CommandEnd::OutOfMemory).await.or(Ok(status))
            }
            status => status,
        };
        let (mut text, truncated) = self.collect().await?;
        let out_of_memory = self.clear_away().await;
        let ending = match (ended, status?, exit_code) {
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
        let reported = self.report.wait_for(|report| field(report, "exit-code").is_some());
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
    async fn clear_away(&mut self) -> bool {
        let Some(group) = self.group.take() else { return false };
        let removed = spawn_blocking(move || {
            let kills = group.kills();
            group.remove();
            kills > 0
        });
        removed.await.unwrap_or(false)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cell.host.counters.ended();
        self.enough.cancel();
        // The task owns the command's record. Aborting the task removes the record, even if `finish` was not
        // completed.
        self.opening.abort();
    }
}

/// Records the sandbox and then lets the command run. If the service is killed, its next start uses the record to
/// kill the sandbox. If bubblewrap's report does not name the sandbox's first process, the command does not run.
async fn open(
    cell: Cell,
    gate: Gate,
    mut report: watch::Receiver<String>,
    opened: impl FnOnce(UnixStream),
) -> Option<Opened> {
    let reported = report.wait_for(|report| parse_scope(report, None).is_some()).await;
    let scope = reported.ok().and_then(|report| parse_scope(&report, None))?;
    let guard = async {
        // The loopback of the sandbox is up only when the first process is ready.
        let proxy = match &cell.gateway {
            Some(gateway) => serve(&cell, gateway, scope.first).await,
            None => None,
        };
        let record = scope.holds_first().then(|| cell.host.remains.record(scope.first));
        (record, proxy)
    };
    // If the first process has already ended, there is no record, and the command does not run.
    let ((record, proxy), socket) = gate.open_when_ready(guard).await.ok()?;
    opened(socket);
    let record = record?;
    if let Err(error) = &record {
        tracing::warn!(%error, "a running command cannot be recorded in the data folder");
    }
    Some(Opened {
        _record: record.ok(),
        _proxy: proxy,
    })
}

/// Opens the proxy of a command. If this fails, the command runs without a network.
async fn serve(cell: &Cell, gateway: &Arc<dyn Gateway>, first: i32) -> Option<AbortOnDropHandle<()>> {
    let (host, owner) = (Arc::clone(&cell.host), cell.owner);
    let opened = spawn_blocking(move || gateway::open(&host, owner, first)).await;
    match opened.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        Ok(listener) => {
            let serving = tokio::spawn(Arc::clone(gateway).serve(listener));
            Some(AbortOnDropHandle::new(serving))
        }
        Err(error) => {
            tracing::warn!(%error, "the proxy of a command cannot be opened, so the command has no network");
            None
        }
    }
}

/// Returns the result of a command without an exit status. In this case, bubblewrap was killed, or ended before it
/// executed the command.
fn lost(status: ExitStatus, said: &str) -> Result<CommandEnd> {
    match status.signal() {
        Some(signal) => Ok(CommandEnd::Signalled(signal)),
        // bubblewrap's message contains paths of the host, so the message is only logged.
        None => {
            Err(Error::new(ErrorKind::Unavailable, "the sandbox could not be set up").caused_by(said.trim().to_owned()))
        }
    }
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

async fn read_report(mut status: pipe::Receiver, reported: watch::Sender<String>) {
    let mut chunk = [0; 1024];
    let mut left = MAX_REPORT_BYTES;
    while let Ok(count @ 1..) = status.read(&mut chunk).await {
        left = left.saturating_sub(count as u64);
        if left > 0 {
            let text = String::from_utf8_lossy(&chunk[..count]);
            reported.send_modify(|report| report.push_str(&text));
        }
    }
}

/// Returns a number from bubblewrap's report, in which each line is a JSON object. An incomplete last line is
/// ignored.
fn field(report: &str, name: &str) -> Option<i64> {
    let complete = &report[..=report.rfind('\n')?];
    let mut lines = complete
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.find_map(|line| line.get(name)?.as_i64())
}

fn parse_scope(report: &str, list: Option<std::path::PathBuf>) -> Option<Scope> {
    Some(Scope {
        namespace: field(report, "pid-namespace")?.try_into().ok()?,
        first: field(report, "child-pid")?.try_into().ok()?,
        list,
    })
}
