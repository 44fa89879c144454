//! Receives what a server sends on its own: progress of calls, changes of its tools, and questions.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rmcp::{
    ClientHandler, RoleClient,
    model::{
        ClientCapabilities, ClientConfig, Implementation, ProgressNotificationParam, ProgressToken, ProtocolVersion,
    },
    service::NotificationContext,
};
use tokio::sync::mpsc;

/// Number of progress messages that may wait for the reader of a call. Further messages are dropped.
const QUEUE: usize = 32;

/// Announces no capability, so a server may not ask for input, for the model or for folders. The default methods of the
/// handler decline every question that a server asks nevertheless.
#[derive(Clone, Default)]
pub(crate) struct Listener {
    calls: Arc<Mutex<HashMap<ProgressToken, mpsc::Sender<ProgressNotificationParam>>>>,
    tools_changed: Arc<AtomicBool>,
}

impl Listener {
    /// Returns the progress messages of a call. They end when the returned value is dropped.
    pub(crate) fn progress_of(&self, token: &ProgressToken) -> Progress {
        let (sender, messages) = mpsc::channel(QUEUE);
        self.with(|calls| calls.insert(token.clone(), sender));
        Progress {
            messages,
            token: token.clone(),
            listener: self.clone(),
        }
    }

    /// Returns whether the server has said that its tools have changed.
    pub(crate) fn tools_changed(&self) -> bool {
        self.tools_changed.load(Ordering::Relaxed)
    }

    fn with<T>(
        &self,
        change: impl FnOnce(&mut HashMap<ProgressToken, mpsc::Sender<ProgressNotificationParam>>) -> T,
    ) -> T {
        change(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The progress messages of one call.
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
        // The handshake of earlier revisions may not name a revision without a handshake.
        ClientConfig::new(ClientCapabilities::default(), this)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        let sender = self.with(|calls| calls.get(&params.progress_token).cloned());
        if let Some(sender) = sender {
            // A flood of progress is cut here, so that the reader of the connection never waits.
            let _ = sender.try_send(params);
        }
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.tools_changed.store(true, Ordering::Relaxed);
    }
}
