//! Time limits of a model call.

use std::time::Duration;

use crate::config::Provider;

/// Time limits of a model call.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Maximum time to establish the connection.
    pub connect: Duration,
    /// Maximum time without data before the first token. Keep-alives count as data.
    pub first_byte: Duration,
    /// Maximum time without data after the first token. Keep-alives count as data.
    pub gap: Duration,
    /// Maximum time of a model call with all its attempts.
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
    /// By default, providers that are local or do not stream get more time for the first token. `is_local` is true for
    /// a private address.
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
