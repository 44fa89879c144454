//! Decides whether and when a call that failed before its first token is retried.

use std::time::Duration;

use chrono::DateTime;
use genai::webc;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::{clock, id};

/// Limits on retries.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// Maximum number of attempts, including the first.
    pub attempts: u32,
    /// Pause before the first retry; it doubles with each further retry.
    pub first_pause: Duration,
    /// Maximum pause. If a provider requests a longer pause, there is no retry.
    pub longest_pause: Duration,
    /// Maximum time from the first attempt to the start of the last attempt.
    pub total: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 4,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            total: Duration::from_mins(3),
        }
    }
}

impl Retries {
    /// Returns the pause before the next attempt, or the reason why there is no further attempt. `made` is the number
    /// of attempts so far, `spent` is the time since the first attempt, and `asked` is the pause that the provider
    /// requested.
    pub(super) fn next(&self, made: u32, spent: Duration, asked: Option<Duration>) -> Result<Duration, String> {
        if made >= self.attempts {
            return Err(format!("failed {made} times"));
        }
        let pause = match asked {
            Some(asked) if asked > self.longest_pause => {
                return Err(format!("the provider asked for a pause of {} s", asked.as_secs()));
            }
            // Waits as long as the provider requests, plus a jitter, so that waiting clients do not all call again at
            // the same time.
            Some(asked) => asked + self.first_pause.mul_f64(id::jitter() / 2.0),
            None => {
                let doubled = self.first_pause.saturating_mul(1 << (made.saturating_sub(1)).min(16));
                doubled.min(self.longest_pause).mul_f64(0.5 + id::jitter() / 2.0)
            }
        };
        if spent + pause > self.total {
            return Err(format!("gave up after {} s", spent.as_secs()));
        }
        Ok(pause)
    }
}

/// Returns the pause that a provider requests: in milliseconds (`retry-after-ms`), in seconds or as a date
/// (`retry-after`; RFC 9110, 10.2.3). `None` if it requests no pause.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(milliseconds) = text("retry-after-ms").and_then(|text| text.parse::<u64>().ok()) {
        return Some(Duration::from_millis(milliseconds));
    }
    let text = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds.max(0.0)).ok();
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    let wait = date.to_utc() - clock::now();
    Some(wait.to_std().unwrap_or(Duration::ZERO))
}

/// Returns whether the error is a timeout. Used only for the error text.
pub(super) fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<webc::StreamTimeout>()
        || error
            .downcast_ref::<reqwest::Error>()
            .is_some_and(reqwest::Error::is_timeout)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_date() {
        assert_eq!(retry_after(&headers("7")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&headers("0.5")), Some(Duration::from_millis(500)));
        assert_eq!(
            retry_after(&headers("Wed, 21 Oct 2015 07:28:00 GMT")),
            Some(Duration::ZERO)
        );
        let soon = (clock::now() + chrono::TimeDelta::seconds(100)).to_rfc2822();
        let wait = retry_after(&headers(&soon)).unwrap();
        assert!(
            wait > Duration::from_secs(90) && wait <= Duration::from_secs(100),
            "{wait:?}"
        );
        assert_eq!(retry_after(&headers("soon")), None);
        assert_eq!(retry_after(&headers("1e400")), None);
    }

    #[test]
    fn pauses_double_with_jitter_and_end() {
        let retries = Retries::default();
        for (made, low, high) in [(1, 250, 500), (2, 500, 1000), (3, 1000, 2000)] {
            let pause = retries.next(made, Duration::ZERO, None).unwrap().as_millis();
            assert!((low..=high).contains(&pause), "after {made} attempts: {pause} ms");
        }
        assert!(retries.next(4, Duration::ZERO, None).is_err());
        assert!(retries.next(1, Duration::from_mins(3), None).is_err());
        assert!(retries.next(1, Duration::ZERO, Some(Duration::from_hours(1))).is_err());
        let asked = retries.next(1, Duration::ZERO, Some(Duration::from_secs(7))).unwrap();
        assert!(asked >= Duration::from_secs(7) && asked < Duration::from_secs(8));
    }
}
