//! The wall clock, used only to convert dates in provider responses to durations.

use chrono::{DateTime, Utc};

pub fn now() -> DateTime<Utc> {
    Utc::now()
}
