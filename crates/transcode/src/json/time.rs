//! Prints and parses times and durations (RFC 3339, proto3 JSON).

use std::io::Write as _;

use chrono::{DateTime, Datelike as _, NaiveDate, Timelike as _};

/// Valid times in seconds since the Unix epoch: 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z.
const TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Maximum of `google.protobuf.Duration`, about 10,000 years.
const MAX_DURATION_SECONDS: i64 = 315_576_000_000;

const NANOS_PER_SECOND: i32 = 1_000_000_000;

type Refusal = &'static str;

/// Minimum number of fractional digits of a printed time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fraction {
    /// No digits: a fraction of zero is omitted.
    Optional,
    /// Three digits.
    Milliseconds,
}

pub(super) fn print_time(seconds: i64, nanos: i32, fraction: Fraction, out: &mut Vec<u8>) -> Result<(), Refusal> {
    if !(0..NANOS_PER_SECOND).contains(&nanos) || !TIMES.contains(&seconds) {
        return Err("the time is out of range");
    }
    let time = DateTime::from_timestamp(seconds, 0).ok_or("the time is out of range")?;
    let (date, clock) = (time.date_naive(), time.time());
    // Most messages contain times, so write the digits directly, which is faster than a format string.
    let year = date.year_ce().1;
    put_two(year / 100, out);
    put_two(year % 100, out);
    for (before, number) in [
        (b'-', date.month()),
        (b'-', date.day()),
        (b'T', clock.hour()),
        (b':', clock.minute()),
        (b':', clock.second()),
    ] {
        out.push(before);
        put_two(number, out);
    }
    print_fraction(nanos, fraction, out)?;
    out.push(b'Z');
    Ok(())
}

/// Prints a duration such as `1.500s`.
pub(super) fn print_duration(seconds: i64, nanos: i32, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let mixed = (seconds < 0 && nanos > 0) || (seconds > 0 && nanos < 0);
    if mixed || !(-MAX_DURATION_SECONDS..=MAX_DURATION_SECONDS).contains(&seconds) || nanos.abs() >= NANOS_PER_SECOND {
        return Err("the duration is out of range");
    }
    if seconds < 0 || nanos < 0 {
        out.push(b'-');
    }
    write!(out, "{}", seconds.abs()).map_err(|_| "the duration could not be encoded")?;
    print_fraction(nanos.abs(), Fraction::Optional, out)?;
    out.push(b's');
    Ok(())
}

fn put_two(number: u32, out: &mut Vec<u8>) {
    let digit = |number: u32| b'0' + u8::try_from(number % 10).unwrap_or(0);
    out.extend([digit(number / 10), digit(number)]);
}

/// Prints a fraction of a second with three, six or nine digits, as needed. `Optional` omits a fraction of zero.
fn print_fraction(nanos: i32, fraction: Fraction, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let printed = if nanos == 0 && fraction == Fraction::Optional {
        Ok(())
    } else if nanos % 1_000_000 == 0 {
        write!(out, ".{:03}", nanos / 1_000_000)
    } else if nanos % 1000 == 0 {
        write!(out, ".{:06}", nanos / 1000)
    } else {
        write!(out, ".{nanos:09}")
    };
    printed.map_err(|_| "the fraction could not be encoded")
}

/// Parses an RFC 3339 time with any UTC offset and up to nine fractional digits, but only upper-case `T` and `Z`.
/// Returns seconds since the Unix epoch, and nanoseconds.
pub(super) fn parse_time(text: &str) -> Result<(i64, i32), Refusal> {
    const WRONG: Refusal = "must be a time such as 2025-08-15T10:30:00.000Z";
    let mut rest = text.as_bytes();
    let year = digits(&mut rest, 4).ok_or(WRONG)?;
    let month = after(&mut rest, b'-')
        .and_then(|()| digits(&mut rest, 2))
        .ok_or(WRONG)?;
    let day = after(&mut rest, b'-')
        .and_then(|()| digits(&mut rest, 2))
        .ok_or(WRONG)?;
    let hour = after(&mut rest, b'T')
        .and_then(|()| digits(&mut rest, 2))
        .ok_or(WRONG)?;
    let minute = after(&mut rest, b':')
        .and_then(|()| digits(&mut rest, 2))
        .ok_or(WRONG)?;
    let second = after(&mut rest, b':')
        .and_then(|()| digits(&mut rest, 2))
        .ok_or(WRONG)?;
    let nanos = parse_fraction(&mut rest).ok_or(WRONG)?;
    let offset = parse_offset(&mut rest).ok_or(WRONG)?;
    if !rest.is_empty() {
        return Err(WRONG);
    }
    let date = i32::try_from(year)
        .ok()
        .and_then(|year| NaiveDate::from_ymd_opt(year, month, day));
    let time = date
        .and_then(|date| date.and_hms_opt(hour, minute, second))
        .ok_or(WRONG)?;
    let seconds = time.and_utc().timestamp() - offset;
    if TIMES.contains(&seconds) {
        Ok((seconds, nanos))
    } else {
        Err("must be in the years 1 to 9999")
    }
}

/// Parses a duration such as `1.5s`. Returns seconds and nanoseconds.
pub(super) fn parse_duration(text: &str) -> Result<(i64, i32), Refusal> {
    const WRONG: Refusal = "must be a duration in seconds such as 1.5s";
    let mut rest = text.strip_suffix('s').ok_or(WRONG)?.as_bytes();
    let sign = if after(&mut rest, b'-').is_some() { -1 } else { 1 };
    let whole = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (seconds, mut fraction) = rest.split_at(whole);
    let seconds = std::str::from_utf8(seconds)
        .ok()
        .and_then(|text| text.parse::<i64>().ok())
        .ok_or(WRONG)?;
    let nanos = parse_fraction(&mut fraction).ok_or(WRONG)?;
    if !fraction.is_empty() {
        return Err(WRONG);
    }
    if seconds > MAX_DURATION_SECONDS {
        return Err("must be at most 315576000000s");
    }
    Ok((sign * seconds, i32::try_from(sign).unwrap_or(1) * nanos))
}

fn after(rest: &mut &[u8], expected: u8) -> Option<()> {
    let (first, others) = rest.split_first()?;
    (*first == expected).then(|| *rest = others)
}

fn digits(rest: &mut &[u8], count: usize) -> Option<u32> {
    let (taken, others) = rest.split_at_checked(count)?;
    *rest = others;
    taken.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0'))
    })
}

/// Parses an optional fraction such as `.5`. Returns nanoseconds.
fn parse_fraction(rest: &mut &[u8]) -> Option<i32> {
    if after(rest, b'.').is_none() {
        return Some(0);
    }
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 || count > 9 {
        return None;
    }
    let number = i32::try_from(digits(rest, count)?).ok()?;
    (count..9).try_fold(number, |number, _| number.checked_mul(10))
}

/// Parses a UTC offset such as `Z` or `+02:00`. Returns seconds.
fn parse_offset(rest: &mut &[u8]) -> Option<i64> {
    if after(rest, b'Z').is_some() {
        return Some(0);
    }
    let sign = if after(rest, b'+').is_some() {
        1
    } else {
        after(rest, b'-')?;
        -1
    };
    let hours = digits(rest, 2).filter(|hours| *hours < 24)?;
    after(rest, b':')?;
    let minutes = digits(rest, 2).filter(|minutes| *minutes < 60)?;
    Some(sign * i64::from(hours * 3600 + minutes * 60))
}
