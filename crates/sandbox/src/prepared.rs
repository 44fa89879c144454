//! A sandbox that is set up and waits at its gate.
//!
//! `execute` opens the gate of a command, and `spawned` the gate of a long-lived process. Invariant: dropping a
//! [`Prepared`] kills the sandbox, and its command does not run.

use std::{os::fd::OwnedFd, os::unix::net::UnixStream as Socket, sync::Arc};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixStream, unix::pipe},
    sync::watch,
    task::spawn_blocking,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    cgroup::Group,
    child::Process,
    gate::{self, Gate, READY},
    gateway::{self, Gateway},
    processes::Scope,
    records::Record,
    settings_folder::SettingsFolder,
    start::{Cell, WorkspaceState},
};
use crate::error::{Error, Result};

/// Maximum bytes of bubblewrap's report, which normally has a few hundred bytes.
const MAX_REPORT_BYTES: u64 = 8192;

pub struct Prepared {
    pub process: Process,
    pub group: Option<Group>,
    pub output: pipe::Receiver,
    /// Output that arrived instead of the report that the sandbox is ready: bubblewrap's error message.
    pub message: Option<u8>,
    pub stdout: Option<OwnedFd>,
    /// The part of bubblewrap's report that has arrived.
    pub report: watch::Receiver<String>,
    pub state: WorkspaceState,
    /// `None` if the sandbox could not be set up.
    pub gate: Option<ReadyGate>,
    pub guard: Option<Guard>,
    pub settings: Option<Arc<SettingsFolder>>,
}

/// The gate of a sandbox that is ready.
pub enum ReadyGate {
    Script(pipe::Sender),
    Socket(UnixStream),
}

/// Belongs to a sandbox that can run its command.
pub struct Guard {
    _record: Option<Record>,
    /// Ends the proxy's connections when it is dropped.
    _proxy: Option<AbortOnDropHandle<()>>,
}

/// Sets up the sandbox of a command, or of a long-lived process with the given script. If bubblewrap fails, the result
/// has no gate. Dropping the future kills the sandbox.
pub async fn prepare(cell: &Cell, script: Option<String>) -> Result<Prepared> {
    let starting = cell.clone();
    let started = spawn_blocking(move || starting.start(script.as_deref())).await;
    let started = started.map_err(|error| Error::internal("starting the command failed", error))??;
    let failed = |error| Error::internal("the command's output cannot be read", error);
    let status = pipe::Receiver::from_owned_fd(started.status).map_err(failed)?;
    let (reported, report) = watch::channel(String::new());
    tokio::spawn(read_report(status, reported));
    let mut prepared = Prepared {
        process: started.process,
        group: started.group,
        output: pipe::Receiver::from_owned_fd(started.output).map_err(failed)?,
        message: None,
        stdout: started.stdout,
        report,
        state: started.state,
        gate: None,
        guard: None,
        settings: started.settings,
    };
    if let Some(scope) = prepared.scope().await
        && let Some(gate) = prepared.wait_until_ready(started.gate).await
        && let Some(guard) = guard(cell, &scope).await
    {
        (prepared.gate, prepared.guard) = (Some(gate), Some(guard));
    }
    Ok(prepared)
}

impl ReadyGate {
    /// Lets the command run. The socket of a long-lived process is returned: its service's end carries the input.
    pub async fn open(self, script: &str, state: WorkspaceState) -> Option<UnixStream> {
        match self {
            Self::Script(mut pipe) => {
                // An error means that the sandbox has ended.
                let _ = pipe.write_all(gate::assignments(script, state.room).as_bytes()).await;
                None
            }
            Self::Socket(socket) => {
                // The send buffer is empty, so the byte fits.
                socket.try_write(b"\n").ok()?;
                Some(socket)
            }
        }
    }
}

impl Prepared {
    async fn scope(&mut self) -> Option<Scope> {
        let reported = self.report.wait_for(|report| parse_scope(report, None).is_some());
        parse_scope(&reported.await.ok()?.clone(), None)
    }

    async fn wait_until_ready(&mut self, gate: Gate) -> Option<ReadyGate> {
        match gate {
            Gate::Script(pipe) => {
                let mut word = [0];
                match self.output.read(&mut word).await {
                    Ok(1) if word == [READY] => {}
                    Ok(1) => {
                        self.message = Some(word[0]);
                        return None;
                    }
                    _ => return None,
                }
                pipe::Sender::from_owned_fd(pipe).ok().map(ReadyGate::Script)
            }
            Gate::Socket(socket) => {
                let socket = into_tokio(socket).ok()?;
                gate::ready(&socket).await.ok()?;
                Some(ReadyGate::Socket(socket))
            }
        }
    }
}

fn into_tokio(socket: Socket) -> std::io::Result<UnixStream> {
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket)
}

/// Records the sandbox and opens its proxy. If the service is killed, its next start uses the record to kill the
/// sandbox. Returns `None` if the first process has already ended.
async fn guard(cell: &Cell, scope: &Scope) -> Option<Guard> {
    // The loopback of the sandbox is up only when the first process is ready.
    let proxy = match &cell.gateway {
        Some(gateway) => serve(cell, gateway, scope.first).await,
        None => None,
    };
    let record = scope.holds_first().then(|| cell.host.remains.record(scope.first))?;
    if let Err(error) = &record {
        tracing::warn!(%error, "a running command cannot be recorded in the data folder");
    }
    Some(Guard {
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
pub fn field(report: &str, name: &str) -> Option<i64> {
    let complete = &report[..=report.rfind('\n')?];
    let mut lines = complete
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.find_map(|line| line.get(name)?.as_i64())
}

pub fn parse_scope(report: &str, list: Option<std::path::PathBuf>) -> Option<Scope> {
    Some(Scope {
        namespace: field(report, "pid-namespace")?.try_into().ok()?,
        first: field(report, "child-pid")?.try_into().ok()?,
        list,
    })
}
