//! Lists the tools of a new agent version before its first run.
//!
//! The first contact with a server costs a handshake and a list. After an agent is saved, [`queue`] queues the version's
//! HTTP servers, and [`list_queued`] lists their tools in the background. It fills the same caches that runs use. A full
//! queue drops the version, and a failure is only logged at debug level: the first run then connects by itself.
//!
//! A run never waits behind other versions. It takes its servers out of the queue, or, if they are being listed at this
//! moment, waits for that list and uses it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{StreamExt, future::join_all, stream};
use runyard_mcp::ToolList;
use tokio::sync::{mpsc, watch};
use tracing::debug;
use uuid::Uuid;

use super::{
    lists::Key,
    remote::{Place, Remote},
};
use crate::{
    agents::{
        AgentVersion,
        mcp::{Server, Transport},
        version::servers,
    },
    app::App,
};

/// Maximum number of versions that wait. One account can fill the queue; other versions are then listed by their runs.
const MAX_WAITING: usize = 64;
/// Maximum number of versions whose servers are listed at the same time.
const AT_ONCE: usize = 4;

struct Job {
    account_id: Uuid,
    version_id: Uuid,
    servers: Vec<Server>,
}

enum State {
    Waiting,
    /// The list is `None` until it has been read.
    Listing(watch::Receiver<Option<Arc<ToolList>>>),
}

pub(super) struct Ahead {
    jobs: mpsc::Sender<Job>,
    /// [`list_queued`] takes the receiver.
    queue: Mutex<Option<mpsc::Receiver<Job>>>,
    /// The servers of all jobs.
    states: Mutex<HashMap<Key, State>>,
}

impl Default for Ahead {
    fn default() -> Self {
        let (jobs, queue) = mpsc::channel(MAX_WAITING);
        Self {
            jobs,
            queue: Mutex::new(Some(queue)),
            states: Mutex::default(),
        }
    }
}

impl Ahead {
    /// Returns the list that is being read at this moment. A server that still waits is taken out of the queue.
    pub(super) async fn join(&self, key: &Key) -> Option<Arc<ToolList>> {
        let mut listing = {
            let mut states = self.states();
            match states.get(key)? {
                State::Listing(listing) => listing.clone(),
                State::Waiting => {
                    states.remove(key);
                    return None;
                }
            }
        };
        // The sender is dropped if the server failed.
        let list = listing.wait_for(Option::is_some).await.ok()?;
        list.clone()
    }

    /// Returns `None` if a run has taken the server out of the queue.
    fn begin(&self, key: &Key) -> Option<watch::Sender<Option<Arc<ToolList>>>> {
        let mut states = self.states();
        let state = states.get_mut(key)?;
        let (sender, receiver) = watch::channel(None);
        *state = State::Listing(receiver);
        Some(sender)
    }

    fn end(&self, key: &Key) {
        self.states().remove(key);
    }

    fn states(&self) -> MutexGuard<'_, HashMap<Key, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Queues the HTTP servers of a version that was just saved. Never waits and never fails. Stdio servers are left out,
/// because they run in a sandbox and take its memory.
pub fn queue(app: &App, version: &AgentVersion) {
    if !app.config.mcp.list_tools_when_saved {
        return;
    }
    let mut servers = servers(version).unwrap_or_default();
    servers.retain(|server| server.transport != Transport::Stdio);
    if servers.is_empty() {
        return;
    }
    let ahead = &app.mcp.ahead;
    let Ok(place) = ahead.jobs.try_reserve() else {
        debug!(agent_version_id = %version.id, "the MCP servers of a new version are not listed ahead: the queue is full");
        return;
    };
    let keys = servers.iter().map(|server| (version.id, server.name.clone()));
    ahead.states().extend(keys.map(|key| (key, State::Waiting)));
    place.send(Job {
        account_id: version.account_id,
        version_id: version.id,
        servers,
    });
}

/// Lists the servers of queued versions. Ends only when it is dropped.
pub async fn list_queued(app: App) {
    let taken = app
        .mcp
        .ahead
        .queue
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let Some(mut queue) = taken else { return };
    let jobs = stream::poll_fn(move |context| queue.poll_recv(context));
    jobs.for_each_concurrent(AT_ONCE, |job| perform(app.clone(), job)).await;
}

async fn perform(app: App, job: Job) {
    let servers = job.servers.into_iter();
    let listings = servers.map(|server| list(app.clone(), job.account_id, job.version_id, server));
    join_all(listings).await;
}

async fn list(app: App, account_id: Uuid, version_id: Uuid, server: Server) {
    let key = (version_id, server.name.clone());
    let Some(sender) = app.mcp.ahead.begin(&key) else {
        return;
    };
    let remote = Remote::new(&app, account_id, Some(version_id), server, Place::Empty).ahead_of_runs();
    match remote.list().await {
        Ok(list) => {
            // The connection must wait for the run before the run gets the list.
            drop(remote);
            sender.send_replace(Some(list));
        }
        Err(reason) => {
            debug!(agent_version_id = %version_id, server = key.1, error = reason, "an MCP server was not listed ahead");
        }
    }
    app.mcp.ahead.end(&key);
}
