//! Settings of schedules.

use serde::Deserialize;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedules {
    /// Maximum number of schedules per account.
    pub max_per_account: u64,
    /// Number of days for which occurrences are kept.
    pub keep_days: u64,
}
