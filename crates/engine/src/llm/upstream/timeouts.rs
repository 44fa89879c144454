//! The time limits of a call. `attempt.rs` and `upstream.rs` check them.

use std::time::Duration;

use crate::config::Provider;

/// Time limits for the parts of a call.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Maximum time until the connection is established.
    pub connect: Duration,
    /// Maximum time from the request to the first token of the answer. Each keep-alive from the provider extends the
    /// time.
    pub first_byte: Duration,
    /// Maximum time between two parts of the answer. Keep-alives of the provider count as parts.
    pub gap: Duration,
    /// Maximum time of the whole call with all its attempts; `None` for no limit.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_mins(2),
            gap: Duration::from_mins(1),
            total: None,
        }
    }
}

impl Timeouts {
    /// Returns the time limits from a provider's configuration. `is_local` allows more time for the first token.
    pub(super) fn of(provider: &Provider, is_local: bool) -> Self {
        let standard = Self::default();
        let is_slow = is_local || provider.stream == Some(false);
        let first = if is_slow {
            Duration::from_mins(10)
        } else {
            standard.first_byte
        };
        Self {
            connect: standard.connect,
            first_byte: provider.first_token_seconds.map_or(first, Duration::from_secs),
            gap: provider.silence_seconds.map_or(standard.gap, Duration::from_secs),
            total: provider.total_seconds.map(Duration::from_secs),
        }
    }
}
