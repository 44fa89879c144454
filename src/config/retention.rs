//! Settings of the deletion of old data.

use serde::Deserialize;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Number of days without a change after which a thread is deleted; 0 keeps all threads.
    pub unchanged_days: u64,
}
