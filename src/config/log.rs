//! Settings of the log. `RUNYARD_LOG` selects its levels (`telemetry.rs`).

use serde::Deserialize;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub access: LoggedRequests,
}

/// The requests that are logged at the level INFO.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LoggedRequests {
    /// All requests.
    All,
    /// Refused requests, and requests that failed because of the server.
    Refused,
    /// Only requests that failed because of the server.
    Off,
}
