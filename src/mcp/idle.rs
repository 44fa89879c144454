//! Open connections that wait for the next run of their agent version.
//!
//! A run that takes such a connection saves the round trip of the handshake. Only connections without a session wait,
//! because a session may hold state of the previous run. A connection that no run has used yet (`ahead`) waits with its
//! session. One run at a time uses a connection.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use moka::sync::Cache;

use super::{lists::Key, remote::Line};

/// Maximum number of connections that wait. One takes about 70 kB of memory.
const MAX_CONNECTIONS: u64 = 128;
/// Maximum time that a connection waits.
const MAX_IDLE: Duration = Duration::from_mins(1);

#[derive(Clone)]
struct Entry {
    line: Arc<Line>,
    since: DateTime<Utc>,
}

pub(super) struct Idle {
    lines: Cache<Key, Entry>,
}

impl Default for Idle {
    fn default() -> Self {
        let lines = Cache::builder()
            .max_capacity(MAX_CONNECTIONS)
            .time_to_live(MAX_IDLE)
            .build();
        Self { lines }
    }
}

impl Idle {
    pub(super) fn take(&self, key: &Key, now: DateTime<Utc>) -> Option<Arc<Line>> {
        let Entry { line, since } = self.lines.remove(key)?;
        (line.connection.is_usable() && now < since + MAX_IDLE).then_some(line)
    }

    /// Keeps a connection for the next run, or closes it if the next run cannot use it.
    pub(super) fn keep(&self, key: &Key, line: Arc<Line>, may_have_session: bool, now: DateTime<Utc>) {
        let connection = &line.connection;
        let is_clean = may_have_session || !connection.has_session();
        if connection.is_usable() && is_clean && !connection.tools_changed() {
            self.lines.insert(key.clone(), Entry { line, since: now });
        }
    }
}
