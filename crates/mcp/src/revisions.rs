//! The protocol revisions that servers have negotiated, by URL.
//!
//! A new connection to a known server skips the part of the handshake that only finds out the revision. A server may
//! change its revision, so an entry expires, and the caller forgets an entry that did not work.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, DiscoverResult, ProtocolVersion, ServerJsonRpcMessage, ServerPeerInfo,
    ServerResult,
};
use tokio::time::{Duration, Instant};

/// Maximum number of servers. A full memory forgets the oldest entry.
const MAX_SERVERS: usize = 1024;
/// Maximum size in bytes of what a server says about itself. A larger entry is not kept.
const MAX_BYTES: usize = 16 * 1024;
/// Maximum age of an entry.
const MAX_AGE: Duration = Duration::from_hours(1);

/// The handshake that a server needs.
#[derive(Clone)]
pub enum Revision {
    /// The server keeps no sessions. This is its answer to `server/discover`.
    Modern(Arc<DiscoverResult>),
    /// The server needs the handshake of the revisions before 2026-07-28.
    Legacy,
}

#[derive(Default)]
pub struct Revisions {
    servers: Mutex<HashMap<Arc<str>, (Revision, Instant)>>,
}

impl Revisions {
    pub fn find(&self, url: &str) -> Option<Revision> {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let (revision, since) = servers.get(url)?;
        (since.elapsed() < MAX_AGE).then(|| revision.clone())
    }

    pub fn keep(&self, url: &Arc<str>, server: &ServerPeerInfo) {
        let revision = if server.protocol_version < ProtocolVersion::V_2026_07_28 {
            Revision::Legacy
        } else {
            let mut answer = DiscoverResult::new(vec![server.protocol_version.clone()], server.capabilities.clone());
            answer.meta.clone_from(&server.meta);
            if serde_json::to_vec(&answer).map_or(MAX_BYTES, |bytes| bytes.len()) >= MAX_BYTES {
                return;
            }
            Revision::Modern(Arc::new(answer))
        };
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.len() >= MAX_SERVERS && !servers.contains_key(url) {
            let oldest = servers.iter().min_by_key(|(_, (_, since))| *since);
            if let Some(oldest) = oldest.map(|(url, _)| Arc::clone(url)) {
                servers.remove(&oldest);
            }
        }
        servers.insert(Arc::clone(url), (revision, Instant::now()));
    }

    pub fn forget(&self, url: &str) {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).remove(url);
    }
}

/// Returns the known answer to `server/discover`; `None` for other messages.
pub fn answer(known: &DiscoverResult, message: &ClientJsonRpcMessage) -> Option<ServerJsonRpcMessage> {
    let ClientJsonRpcMessage::Request(request) = message else {
        return None;
    };
    matches!(request.request, ClientRequest::DiscoverRequest(_))
        .then(|| ServerJsonRpcMessage::response(ServerResult::DiscoverResult(known.clone()), request.id.clone()))
}

#[cfg(test)]
mod tests {
    use rmcp::model::ServerCapabilities;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn entries_are_bounded_and_expire() {
        let revisions = Revisions::default();
        let server = |version| ServerPeerInfo::new(version, ServerCapabilities::default());
        let url = |number: usize| Arc::<str>::from(format!("http://{number}"));
        revisions.keep(&url(0), &server(ProtocolVersion::LATEST));
        assert!(matches!(revisions.find("http://0"), Some(Revision::Modern(_))));
        tokio::time::advance(MAX_AGE / 2).await;
        for number in 1..=MAX_SERVERS {
            revisions.keep(&url(number), &server(ProtocolVersion::LATEST_WITH_INITIALIZE));
        }
        assert!(revisions.find("http://0").is_none(), "the oldest entry is forgotten");
        assert!(matches!(revisions.find("http://1"), Some(Revision::Legacy)));
        revisions.forget("http://1");
        assert!(revisions.find("http://1").is_none());
        assert!(revisions.find("http://2").is_some());
        tokio::time::advance(MAX_AGE).await;
        assert!(revisions.find("http://2").is_none(), "entries expire");
    }
}
