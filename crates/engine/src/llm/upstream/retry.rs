//! Decides whether and when to retry a call that failed before the first token.

mod pause;

use std::time::Duration;

use crate::id;
pub(super) use pause::{in_body, in_headers};

/// After up to this number of attempts, the pause is the one that the provider requested. After more attempts, half
/// of the exponential backoff is added to the requested pause.
const TRUSTED: u32 = 3;

/// Limits on retries.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// Pause before the first retry, doubled for each further retry.
    pub first_pause: Duration,
    /// Maximum pause, unless the provider requests a longer one.
    pub longest_pause: Duration,
    /// Maximum time from the first attempt to the start of the last attempt.
    pub total: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            total: Duration::from_mins(5),
        }
    }
}

impl Retries {
    /// Returns the pause before the next attempt, or the reason to stop. `made` counts the attempts, `spent` is the
    /// time since the first attempt, and `asked` is the pause that the provider requested.
    pub(super) fn next(&self, made: u32, spent: Duration, asked: Option<Duration>) -> Result<Duration, String> {
        let doubled = self.first_pause.saturating_mul(1 << (made.saturating_sub(1)).min(16));
        let own = doubled.min(self.longest_pause).mul_f64(0.5 + id::jitter() / 2.0);
        let pause = match asked {
            // Jitter keeps waiting clients from retrying all at once.
            Some(asked) if made <= TRUSTED => asked.saturating_add(self.first_pause.mul_f64(id::jitter() / 2.0)),
            Some(asked) => asked.saturating_add(own / 2),
            None => own,
        };
        if spent.saturating_add(pause) <= self.total {
            return Ok(pause);
        }
        Err(match asked {
            Some(asked) if asked > self.total => {
                format!("the provider requested a pause of {} s", asked.as_secs())
            }
            _ => format!("gave up after {made} attempts in {} s", spent.as_secs()),
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_with_jitter_until_the_deadline() {
        let retries = Retries::default();
        for (made, low, high) in [(1, 250, 500), (2, 500, 1000), (3, 1000, 2000), (60, 15_000, 30_000)] {
            let pause = retries.next(made, Duration::ZERO, None).unwrap().as_millis();
            assert!((low..=high).contains(&pause), "after {made} attempts: {pause} ms");
        }
        assert!(retries.next(1, Duration::from_mins(5), None).is_err());
        assert!(retries.next(1, Duration::ZERO, Some(Duration::from_hours(1))).is_err());
        assert!(retries.next(1, Duration::ZERO, Some(Duration::MAX)).is_err());
        let asked = retries.next(1, Duration::ZERO, Some(Duration::from_secs(45))).unwrap();
        assert!(asked >= Duration::from_secs(45) && asked < Duration::from_secs(46));
    }
}
