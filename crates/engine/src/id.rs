//! Generates message ids, and the jitter of retry pauses.

use uuid::Uuid;

/// Returns a new time-ordered id (RFC 9562, version 7).
pub fn new() -> Uuid {
    Uuid::now_v7()
}

pub fn jitter() -> f64 {
    rand::random()
}
