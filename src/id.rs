//! Ids and random numbers. Row ids are UUIDv7, so that B-tree indexes store new rows next to each other.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::error::{Error, Result};

/// Maximum time by which the timestamp of an id may be later than the creation time of its row. Earlier versions of
/// Runyard created the id slightly after reading the clock. This version uses [`crate::clock::Clock::stamp`], which
/// gives an id and its row the same time.
const MADE_WITHIN: Duration = Duration::from_secs(1);
/// The latest timestamp of an id, in milliseconds since the Unix epoch. A version 7 id has 48 bits for its timestamp.
const LATEST_MS: u64 = (1 << 48) - 1;

/// Returns a new time-ordered id (RFC 9562, version 7).
pub fn new() -> Uuid {
    Uuid::now_v7()
}

/// The timestamp of a version 7 id, with millisecond precision.
pub fn time_of(id: Uuid) -> DateTime<Utc> {
    let (seconds, nanos) = id.get_timestamp().map_or((0, 0), |time| time.to_unix());
    DateTime::from_timestamp(i64::try_from(seconds).unwrap_or(i64::MAX), nanos).unwrap_or_default()
}

/// The lowest id with this timestamp.
pub fn first_at(time: DateTime<Utc>) -> Uuid {
    let ms = u64::try_from(time.timestamp_millis())
        .unwrap_or_default()
        .min(LATEST_MS);
    // The constants set the version to 7 and the variant to 2.
    Uuid::from_u128((u128::from(ms) << 80) | (7 << 76) | (2 << 62))
}

/// A range of row ids, which selects the rows of a time range.
///
/// A row's id contains its creation time. The id range may be slightly wider than the time range, so statements also
/// compare the creation times of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdRange {
    /// Inclusive; `None` for no lower bound.
    pub from: Option<Uuid>,
    /// Exclusive; `None` for no upper bound. There is only one upper bound, because SQLite uses an index for one
    /// bound and checks further bounds row by row.
    pub below: Option<Uuid>,
}

impl IdRange {
    /// Ids of rows created at or after `after` and before `before`. `page`, the last id of the previous page, is a
    /// further upper bound.
    pub fn of(after: Option<DateTime<Utc>>, before: Option<DateTime<Utc>>, page: Option<Uuid>) -> Self {
        let made_before = before.map(|time| first_at(time.checked_add_signed(slack()).unwrap_or(time)));
        Self {
            from: after.map(first_at),
            below: made_before.into_iter().chain(page).min(),
        }
    }
}

fn slack() -> chrono::TimeDelta {
    chrono::TimeDelta::from_std(MADE_WITHIN).unwrap_or_default()
}

/// Returns bytes from a cryptographically secure generator.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    rand::random()
}

/// Returns a random number in `0.0..1.0`, for jitter.
pub fn jitter() -> f64 {
    rand::random()
}

/// Parses an id from a request.
///
/// # Errors
/// INVALID_REQUEST with the name of the field, if `text` is not a UUID or is the nil UUID.
pub fn parse(field: &'static str, text: &str) -> Result<Uuid> {
    match Uuid::try_parse(text) {
        Ok(id) if !id.is_nil() => Ok(id),
        _ => Err(Error::invalid_field(field, format!("{field} must be a valid UUID"))),
    }
}

/// Returns `None` if `text` is empty.
pub fn parse_optional(field: &'static str, text: &str) -> Result<Option<Uuid>> {
    if text.is_empty() {
        Ok(None)
    } else {
        parse(field, text).map(Some)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    #[test]
    fn a_span_contains_every_id_of_its_time_range() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (early, late) = (at("2026-01-01T00:00:00.001Z"), at("2026-01-01T00:00:00.002Z"));
        assert_eq!(time_of(first_at(early)), early);
        let highest = Uuid::from_u128(first_at(early).as_u128() | (0xfff << 64) | ((1 << 62) - 1));
        assert!(first_at(early) < highest && highest < first_at(late));
        assert_eq!(time_of(highest), early);

        let span = IdRange::of(Some(early), Some(late), None);
        assert_eq!(span.from, Some(first_at(early)));
        assert!(
            span.below > Some(first_at(late)),
            "an id may be a little later than its row"
        );
        let page = Some(first_at(late));
        assert_eq!(IdRange::of(None, Some(at("2026-02-01T00:00:00Z")), page).below, page);
        assert_eq!(IdRange::of(None, None, page).below, page);
    }

    #[test]
    fn times_outside_the_id_range_map_to_its_ends() {
        assert_eq!(time_of(first_at(DateTime::<Utc>::MIN_UTC)).timestamp(), 0);
        assert!(first_at(DateTime::<Utc>::MAX_UTC) > new());
        let span = IdRange::of(None, Some(DateTime::<Utc>::MAX_UTC), None);
        assert!(span.below > Some(new()));
    }
}
