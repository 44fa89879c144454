//! Cached lists of tools, per agent version and server.
//!
//! A version never changes, so a cached list always fits the current address and headers of its server. A list stays
//! in the cache as long as its server permits, up to one hour.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use moka::future::Cache;
use runyard_mcp::{ListedTool, ToolList};
use uuid::Uuid;

/// Approximate maximum size of all cached lists together, in bytes.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Maximum time in the cache, even if the server permits more.
const MAX_AGE: Duration = Duration::from_hours(1);

/// The id of the agent version, and the name of the server.
pub(super) type Key = (Uuid, String);

#[derive(Clone)]
struct Entry {
    list: Arc<ToolList>,
    until: DateTime<Utc>,
}

pub(super) struct Lists {
    entries: Cache<Key, Entry>,
}

impl Default for Lists {
    fn default() -> Self {
        let entries = Cache::builder()
            .max_capacity(MAX_BYTES)
            .weigher(|key: &Key, entry: &Entry| size(key, &entry.list))
            .time_to_live(MAX_AGE)
            .build();
        Self { entries }
    }
}

impl Lists {
    pub(super) async fn find(&self, key: &Key, now: DateTime<Utc>) -> Option<Arc<ToolList>> {
        let entry = self.entries.get(key).await?;
        (now < entry.until).then_some(entry.list)
    }

    /// Caches a list if its server permits caching.
    pub(super) async fn keep(&self, key: &Key, list: &Arc<ToolList>, now: DateTime<Utc>) {
        let Some(fresh_for) = list.fresh_for else { return };
        let until = now + fresh_for.min(MAX_AGE);
        let entry = Entry {
            list: Arc::clone(list),
            until,
        };
        self.entries.insert(key.clone(), entry).await;
    }

    pub(super) async fn forget(&self, key: &Key) {
        self.entries.invalidate(key).await;
    }
}

fn size((_, server): &Key, list: &ToolList) -> u32 {
    let tools: usize = list.tools.iter().map(ListedTool::size).sum();
    u32::try_from(server.len() + 256 + tools).unwrap_or(u32::MAX)
}
