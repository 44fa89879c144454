//! The wall clock. The engine reads the clock only to convert dates in providers' responses to durations.

use chrono::{DateTime, Utc};

/// Returns the current time.
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
