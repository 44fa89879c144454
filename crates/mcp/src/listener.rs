//! Receives messages that a server sends on its own: progress, changes of its tools, and questions.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rmcp::{
    ClientHandler, ErrorData, RoleClient,
    model::{
        ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult, ElicitationAction, Implementation,
        ProgressNotificationParam, ProgressToken, ProtocolVersion,
    },
    service::{NotificationContext, RequestContext},
};
use tokio::sync::mpsc;

/// Maximum number of progress messages that wait per call. Further messages are dropped.
const QUEUE: usize = 32;

/// Handles a server's messages. The handshake announces no capabilities. A question on the open connection is declined,
/// because the run that waits for its answer would hold the connection.
#[derive(Clone, Default)]
pub(crate) struct Listener {
    calls: Arc<Mutex<HashMap<ProgressToken, mpsc::Sender<ProgressNotificationParam>>>>,
    tools_changed: Arc<AtomicBool>,
    has_declined: Arc<AtomicBool>,
}

impl Listener {
    /// Subscribes to the progress messages of a call. Dropping the returned value ends the subscription.
    pub(crate) fn progress_of(&self, token: &ProgressToken) -> Progress {
        let (sender, messages) = mpsc::channel(QUEUE);
        self.with(|calls| calls.insert(token.clone(), sender));
        Progress {
            messages,
            token: token.clone(),
            listener: self.clone(),
        }
    }

    pub(crate) fn tools_changed(&self) -> bool {
        self.tools_changed.load(Ordering::Relaxed)
    }

    pub(crate) fn take_declined(&self) -> bool {
        self.has_declined.swap(false, Ordering::Relaxed)
    }

    fn with<T>(
        &self,
        change: impl FnOnce(&mut HashMap<ProgressToken, mpsc::Sender<ProgressNotificationParam>>) -> T,
    ) -> T {
        change(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(crate) struct Progress {
    pub(crate) messages: mpsc::Receiver<ProgressNotificationParam>,
    token: ProgressToken,
    listener: Listener,
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.listener.with(|calls| calls.remove(&self.token));
    }
}

impl ClientHandler for Listener {
    fn get_info(&self) -> ClientConfig {
        let this = Implementation::new("runyard", env!("CARGO_PKG_VERSION"));
        // Only earlier revisions of the protocol have a handshake, so the client names the newest of these revisions.
        ClientConfig::new(ClientCapabilities::default(), this)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.has_declined.store(true, Ordering::Relaxed);
        Ok(ElicitResult::new(ElicitationAction::Decline))
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        let sender = self.with(|calls| calls.get(&params.progress_token).cloned());
        if let Some(sender) = sender {
            // A full queue drops the message, because the reader of the connection must not wait.
            let _ = sender.try_send(params);
        }
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.tools_changed.store(true, Ordering::Relaxed);
    }
}
