//! Ids: UUIDv7 for rows, so that B-tree inserts stay local, and the one home of randomness.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::error::{Error, Result};

/// How much later than its row an id may say that it was made. Ids of [`crate::clock::Clock::stamp`] say the same time;
/// earlier versions made the id a moment after they had asked the clock.
const MADE_WITHIN: Duration = Duration::from_secs(1);
/// The latest time that an id can say, in milliseconds: it has 48 bits for it.
const LATEST_MS: u64 = (1 << 48) - 1;

/// A new time-ordered id (RFC 9562, version 7).
pub fn new() -> Uuid {
    Uuid::now_v7()
}

/// The time that a version 7 id says, to the millisecond.
pub fn time_of(id: Uuid) -> DateTime<Utc> {
    let (seconds, nanos) = id.get_timestamp().map_or((0, 0), |time| time.to_unix());
    DateTime::from_timestamp(i64::try_from(seconds).unwrap_or(i64::MAX), nanos).unwrap_or_default()
}

/// The lowest id that can say a time.
pub fn first_at(time: DateTime<Utc>) -> Uuid {
    let ms = u64::try_from(time.timestamp_millis())
        .unwrap_or_default()
        .min(LATEST_MS);
    // The version is 7, the variant is 2.
    Uuid::from_u128((u128::from(ms) << 80) | (7 << 76) | (2 << 62))
}

/// A range of ids in a list of rows whose ids our own clock made.
///
/// A database finds the rows of a time by their ids, because that is what lists are ordered by. The range is at least as
/// wide as the times, so the statement compares the times themselves, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The lowest id.
    pub from: Option<Uuid>,
    /// The id above the highest one. There is one bound of each kind, because SQLite seeks to one and compares the rest.
    pub below: Option<Uuid>,
}

impl Span {
    /// The ids of rows made at or after a time, before a time, and below the last id of the page before.
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

/// Random bytes from the operating system's generator.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    rand::random()
}

/// A random number in `0.0..1.0`, for jitter.
pub fn jitter() -> f64 {
    rand::random()
}

/// Reads an id of a request.
///
/// # Errors
/// INVALID_REQUEST naming the field, when the text is not a UUID or is the nil UUID.
pub fn parse(field: &'static str, text: &str) -> Result<Uuid> {
    match Uuid::try_parse(text) {
        Ok(id) if !id.is_nil() => Ok(id),
        _ => Err(Error::invalid_field(field, format!("{field} must be a valid UUID"))),
    }
}

/// Reads an id of a request that may be absent; the empty text counts as absent.
///
/// # Errors
/// As [`parse`].
pub fn parse_optional(field: &'static str, text: &str) -> Result<Option<Uuid>> {
    if text.is_empty() {
        Ok(None)
    } else {
        parse(field, text).map(Some)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_span_holds_every_id_of_its_time() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (early, late) = (at("2026-01-01T00:00:00.001Z"), at("2026-01-01T00:00:00.002Z"));
        assert_eq!(time_of(first_at(early)), early);
        let highest = Uuid::from_u128(first_at(early).as_u128() | (0xfff << 64) | ((1 << 62) - 1));
        assert!(first_at(early) < highest && highest < first_at(late));
        assert_eq!(time_of(highest), early);

        let span = Span::of(Some(early), Some(late), None);
        assert_eq!(span.from, Some(first_at(early)));
        assert!(
            span.below > Some(first_at(late)),
            "an id may be a little later than its row"
        );
        let page = Some(first_at(late));
        assert_eq!(Span::of(None, Some(at("2026-02-01T00:00:00Z")), page).below, page);
        assert_eq!(Span::of(None, None, page).below, page);
    }

    #[test]
    fn times_that_no_id_can_say_are_the_ends() {
        assert_eq!(time_of(first_at(DateTime::<Utc>::MIN_UTC)).timestamp(), 0);
        assert!(first_at(DateTime::<Utc>::MAX_UTC) > new());
        let span = Span::of(None, Some(DateTime::<Utc>::MAX_UTC), None);
        assert!(span.below > Some(new()));
    }
}
