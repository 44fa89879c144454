//! Settings of webhooks.

use std::time::Duration;

use serde::Deserialize;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// Permits http, and private, loopback and link-local addresses. Every account can then send requests to this
    /// process's internal network.
    pub allow_private_addresses: bool,
    /// Maximum number of webhooks per account.
    pub max_per_account: u64,
    /// Maximum time of a request, including the answer.
    pub timeout_seconds: u64,
    /// Maximum number of concurrent requests to one webhook.
    pub max_concurrent: usize,
    /// Maximum number of requests per second to one webhook.
    pub max_per_second: u64,
    /// Number of days for which finished deliveries are kept.
    pub keep_days: u64,
}

impl Webhooks {
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}
