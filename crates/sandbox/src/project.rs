//! The sandbox of one project: each command runs in its own bubblewrap sandbox with the project's workspace.
//!
//! Invariant: the long-lived processes and the sandboxes that wait for a command are killed when the last clone of their
//! [`ProjectSandbox`] is dropped.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Command, Conversion, Converted, Execution, Files, Gateway, OpenFile, OutputListener, Place, ReadOnlyFolder,
    Sandbox, Spawned, Workspace, convert, execute,
    host::Host,
    spawned::{self, LongLived},
    standby::Standbys,
    start::Cell,
};
use crate::error::{Error, Result};

/// Maximum number of queued chunks of live output.
const LIVE_PIECES: usize = 16;

/// The sandbox of one project. Clones are cheap and share the long-lived processes.
#[derive(Clone)]
pub struct ProjectSandbox {
    place: Place,
    workspace: Workspace,
    host: Arc<Host>,
    long_lived: Arc<LongLived>,
    standbys: Arc<Standbys>,
    folders: Arc<[ReadOnlyFolder]>,
    gateway: Option<Arc<dyn Gateway>>,
}

impl ProjectSandbox {
    pub(super) fn new(place: Place, workspace: Workspace, host: Arc<Host>) -> Self {
        Self {
            place,
            workspace,
            host,
            long_lived: Arc::default(),
            standbys: Arc::default(),
            folders: Arc::default(),
            gateway: None,
        }
    }

    /// Adds host folders that the commands can read.
    #[must_use]
    pub fn with_folders(mut self, folders: Arc<[ReadOnlyFolder]>) -> Self {
        self.folders = folders;
        self.standbys = Arc::default();
        self
    }

    /// Gives the commands a proxy on their loopback, at [`GATEWAY_PORT`](super::GATEWAY_PORT).
    #[must_use]
    pub fn with_gateway(mut self, gateway: Option<Arc<dyn Gateway>>) -> Self {
        self.gateway = gateway;
        self.standbys = Arc::default();
        self
    }

    /// Returns the folder and the owner of the workspace.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Returns the workspace, through which the service accesses the project's files.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    fn cell(&self) -> Cell {
        Cell {
            host: Arc::clone(&self.host),
            workspace: Some(self.workspace.clone()),
            owner: self.host.owner(self.place.number),
            folders: Arc::clone(&self.folders),
            gateway: self.gateway.clone(),
            converter: None,
        }
    }
}

#[async_trait]
impl Sandbox for ProjectSandbox {
    fn default_timeout(&self) -> Duration {
        Duration::from_secs(self.host.config.default_timeout_seconds)
    }

    fn max_timeout(&self) -> Duration {
        Duration::from_secs(self.host.config.max_timeout_seconds)
    }

    async fn execute(
        &self,
        command: Command,
        output: &mut OutputListener<'_>,
        cancel: &CancellationToken,
    ) -> Result<Execution> {
        run(self.cell(), Some(Arc::clone(&self.standbys)), command, output, cancel).await
    }

    async fn spawn(&self, command: Command) -> Result<Spawned> {
        spawned::spawn(self.cell(), command, &self.long_lived).await
    }

    async fn convert(&self, conversion: Conversion, input: OpenFile, max_output_bytes: usize) -> Result<Converted> {
        let owner = self.host.owner(self.place.number);
        convert::convert(Arc::clone(&self.host), owner, conversion, input, max_output_bytes).await
    }

    fn files(&self) -> Arc<dyn Files> {
        Arc::new(self.workspace.clone())
    }
}

/// Runs a command in a separate task, which cleans up even if the caller's future is dropped.
pub(super) async fn run(
    cell: Cell,
    standbys: Option<Arc<Standbys>>,
    command: Command,
    output: &mut OutputListener<'_>,
    cancel: &CancellationToken,
) -> Result<Execution> {
    let stop = cancel.child_token();
    let _stop_when_dropped = stop.clone().drop_guard();
    let (sender, mut pieces) = mpsc::channel::<String>(LIVE_PIECES);
    let task = tokio::spawn(execute::run(cell, standbys, command, sender, stop));
    while let Some(piece) = pieces.recv().await {
        output(&piece);
    }
    task.await
        .map_err(|error| Error::internal("running the command failed", error))?
}

impl fmt::Debug for ProjectSandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProjectSandbox")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
