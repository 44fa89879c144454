//! Parses the pause that a provider requests, in all known formats.

use std::{sync::LazyLock, time::Duration};

use chrono::{DateTime, Utc};
use regex::Regex;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::clock;

/// LiteLLM adds this prefix to header names of the original provider.
const LITELLM: &str = "llm_provider-";

/// Names of body fields with a pause. The factor converts a number without unit to seconds.
const FIELDS: &[(&str, f64)] = &[
    ("retryDelay", 1.0),
    ("retry_delay", 1.0),
    ("retry_after_ms", 0.001),
    ("retryAfterMs", 0.001),
    ("retry_after_seconds", 1.0),
    ("retry_after", 1.0),
    ("retryAfter", 1.0),
    ("retry-after", 1.0),
    ("Retry-After", 1.0),
    ("estimated_time", 1.0),
];

/// Numbers below this limit are durations in seconds; others are Unix times.
const FIRST_TIME: f64 = 1e9;
/// Unix times below this limit are in seconds; others are in milliseconds.
const FIRST_TIME_IN_MILLISECONDS: f64 = 1e11;

pub(in super::super) fn in_headers(headers: &HeaderMap) -> Option<Duration> {
    ["", LITELLM].iter().find_map(|prefix| {
        let text = |name: &str| {
            let value = headers.get(format!("{prefix}{name}"))?.to_str().ok()?;
            Some(value.trim())
        };
        ["retry-after-ms", "x-ms-retry-after-ms"]
            .iter()
            .find_map(|name| seconds(text(name)?.parse::<f64>().ok()? / 1000.0))
            .or_else(|| spelled(text("retry-after")?))
            .or_else(|| reset(text))
    })
}

/// Returns the time until all exhausted rate limits are reset, if any is exhausted. `text` returns the value of a
/// header.
fn reset<'h>(text: impl Fn(&str) -> Option<&'h str>) -> Option<Duration> {
    [
        ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
        ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
        ("x-ratelimit-remaining-input-tokens", "x-ratelimit-reset-input-tokens"),
        ("x-ratelimit-remaining", "x-ratelimit-reset"),
        ("ratelimit-remaining", "ratelimit-reset"),
        (
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ),
        (
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ),
        (
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
        ),
        (
            "anthropic-ratelimit-output-tokens-remaining",
            "anthropic-ratelimit-output-tokens-reset",
        ),
    ]
    .iter()
    .filter(|(remaining, _)| text(remaining) == Some("0"))
    .filter_map(|(_, reset)| spelled(text(reset)?))
    .max()
}

/// Returns the pause from a field of the response body, such as Google's `RetryInfo`, or from the error message
/// `words`.
pub(in super::super) fn in_body(body: &Value, words: &str) -> Option<Duration> {
    in_fields(body).or_else(|| in_words(words))
}

fn in_fields(body: &Value) -> Option<Duration> {
    match body {
        Value::Array(items) => items.iter().find_map(in_fields),
        Value::Object(fields) => FIELDS
            .iter()
            .find_map(|(name, unit)| match fields.get(*name)? {
                Value::Number(number) => seconds(number.as_f64()? * unit),
                Value::String(text) => match text.trim().parse::<f64>() {
                    Ok(number) => seconds(number * unit),
                    Err(_) => spelled(text.trim()),
                },
                Value::Object(parts) => seconds(parts.get("seconds")?.as_f64()?),
                _ => None,
            })
            .or_else(|| fields.values().find_map(in_fields)),
        _ => None,
    }
}

static WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)\b(?:try again|retry|retrying|wait|available|resets?)\b[^.;]{0,40}?\s((?:\d+(?:\.\d+)?\s*(?:milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)[\s,]*(?:and\s+)?)+)",
    )
    .ok()
});

fn in_words(words: &str) -> Option<Duration> {
    let found = WORDS.as_ref()?.captures(words)?.get(1)?;
    duration(found.as_str())
}

/// Parses a number of seconds, a duration with units, a Unix time, or a date (RFC 9110 or RFC 3339).
fn spelled(text: &str) -> Option<Duration> {
    if let Ok(number) = text.parse::<f64>() {
        if !number.is_finite() {
            return None;
        }
        if number < FIRST_TIME {
            return seconds(number);
        }
        let unit = if number < FIRST_TIME_IN_MILLISECONDS {
            1.0
        } else {
            0.001
        };
        #[expect(clippy::cast_precision_loss, reason = "the result is a pause of some seconds")]
        let now = clock::now().timestamp_millis() as f64 / 1000.0;
        return seconds(number * unit - now);
    }
    duration(text).or_else(|| {
        let date = DateTime::parse_from_rfc2822(text)
            .or_else(|_| DateTime::parse_from_rfc3339(text))
            .ok()?;
        Some(until(date.to_utc()))
    })
}

fn until(time: DateTime<Utc>) -> Duration {
    (time - clock::now()).to_std().unwrap_or(Duration::ZERO)
}

/// Parses a duration with units, such as `1m2.5s`, `20ms` or `2 minutes and 5 seconds`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        total += number
            * match rest[..letters].to_ascii_lowercase().as_str() {
                "ms" | "millisecond" | "milliseconds" => 0.001,
                "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
                "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
                "h" | "hr" | "hrs" | "hour" | "hours" => 3_600.0,
                "d" | "day" | "days" => 86_400.0,
                _ => return None,
            };
        rest = rest[letters..].trim_start_matches([' ', ',']);
        rest = rest.strip_prefix("and").unwrap_or(rest).trim_start();
    }
    seconds(total)
}

fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds.max(0.0)).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};
    use serde_json::json;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn pauses_in_headers_are_read() {
        type Pairs = &'static [(&'static str, &'static str)];
        let table: [(Pairs, Option<u64>); 13] = [
            (&[("retry-after", "7")], Some(7_000)),
            (&[("retry-after", "0.5")], Some(500)),
            (&[("retry-after", "7s")], Some(7_000)),
            (&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], Some(0)),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "1e400")], None),
            (&[("retry-after-ms", "250"), ("retry-after", "9")], Some(250)),
            (&[("llm_provider-retry-after", "6")], Some(6_000)),
            (&[("x-ratelimit-reset-tokens", "6m0s")], None),
            (
                &[
                    ("x-ratelimit-remaining-tokens", "0"),
                    ("x-ratelimit-reset-tokens", "6m0s"),
                ],
                Some(360_000),
            ),
            (
                &[
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-requests", "20ms"),
                ],
                Some(20),
            ),
            (
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1445412480")],
                Some(0),
            ),
            (&[], None),
        ];
        for (pairs, expected) in table {
            let pause = in_headers(&headers(pairs));
            assert_eq!(pause, expected.map(Duration::from_millis), "{pairs:?}");
        }
        let soon = (clock::now() + chrono::TimeDelta::seconds(100)).to_rfc2822();
        let pause = in_headers(&headers(&[("retry-after", &soon)])).unwrap();
        assert!(
            pause > Duration::from_mins(1) && pause <= Duration::from_secs(100),
            "{pause:?}"
        );
    }

    #[test]
    fn pauses_in_bodies_are_read() {
        let google = json!([{"error": {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "8.5s"}]}}]);
        let table = [
            (google, "", Some(8_500)),
            (
                json!({"error": "Model x is currently loading", "estimated_time": 20.0}),
                "",
                Some(20_000),
            ),
            (
                json!({"error": {"metadata": {"retry_after_ms": 1500}}}),
                "",
                Some(1_500),
            ),
            (
                Value::Null,
                "Rate limit reached. Please try again in 7.66s. Visit",
                Some(7_660),
            ),
            (Value::Null, "Please try again in 1m2.5s", Some(62_500)),
            (Value::Null, "try again in 20ms.", Some(20)),
            (Value::Null, "Please retry in 34.074824224s.", Some(34_074)),
            (Value::Null, "Please wait 2 minutes and 5 seconds", Some(125_000)),
            (Value::Null, "Please retry after 30 seconds.", Some(30_000)),
            (Value::Null, "try again later", None),
            (Value::Null, "limit 30000, used 20000", None),
        ];
        for (body, words, expected) in table {
            let pause = in_body(&body, words).map(|pause| u64::try_from(pause.as_millis()).unwrap());
            assert_eq!(pause, expected, "{body} {words}");
        }
    }
}
