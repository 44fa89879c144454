//! The wall clock. The engine reads it only to interpret dates in answers of providers.

use chrono::{DateTime, Utc};

/// Returns the current time.
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
