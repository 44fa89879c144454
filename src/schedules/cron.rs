//! Computes the occurrences of a cron expression in a time zone.
//!
//! An expression whose minute and hour are fixed keeps its wall clock time: a time that the clock skips when daylight
//! saving begins occurs once, at the first moment after the gap, and a time that occurs twice when daylight saving ends
//! occurs once, at the first of the two. An expression with `*` or a step in the minute or the hour follows real time:
//! it skips the gap, and also occurs in the repeated hour.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use crate::error::{Error, Result};

const FIELDS: usize = 5;
const MAX_EXPRESSION: usize = 200;

/// The times of a schedule.
pub struct Timetable {
    cron: Cron,
    zone: Tz,
}

impl Timetable {
    /// # Errors
    /// INVALID_REQUEST for an invalid expression or an unknown time zone.
    pub fn parse(cron: &str, zone: &str) -> Result<Self> {
        let refused = |why: &str| Error::invalid_field("cron", format!("cron: {why}"));
        if cron.len() > MAX_EXPRESSION || cron.contains('@') || cron.split_whitespace().count() != FIELDS {
            return Err(refused(
                "an expression has five fields: minute, hour, day of the month, month, day of the week",
            ));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(cron).map_err(|error| refused(&error.to_string()))?;
        let zone: Tz = zone.parse().map_err(|_| {
            let message = format!("time_zone: {zone:?} is not the name of an IANA time zone, such as Europe/Berlin");
            Error::invalid_field("time_zone", message)
        })?;
        Ok(Self { cron, zone })
    }

    /// Returns the first occurrence after a time; `None` if none follows.
    pub fn next_after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = self.cron.find_next_occurrence(&time.with_timezone(&self.zone), false);
        next.ok().map(|next| next.with_timezone(&Utc))
    }

    /// Returns the last occurrence at or before a time.
    pub fn last_until(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let last = self
            .cron
            .find_previous_occurrence(&time.with_timezone(&self.zone), true);
        last.ok().map(|last| last.with_timezone(&Utc))
    }

    /// Returns the next occurrences after a time.
    pub fn upcoming(&self, time: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
        let next = std::iter::successors(self.next_after(time), |time| self.next_after(*time));
        next.take(count).collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    fn upcoming(cron: &str, from: &str, count: usize) -> Vec<String> {
        let timetable = Timetable::parse(cron, "Europe/Berlin").unwrap();
        let times = timetable.upcoming(from.parse().unwrap(), count);
        let mut shown = Vec::new();
        for time in times {
            assert_eq!(timetable.last_until(time), Some(time));
            shown.push(time.format("%m-%dT%H:%M").to_string());
        }
        shown
    }

    #[test]
    fn a_fixed_time_in_the_gap_occurs_once_after_it() {
        // On 29 March 2026, 02:00 becomes 03:00 in Berlin, which is 01:00 UTC.
        let times = upcoming("30 2 * * *", "2026-03-28T00:00:00Z", 3);
        assert_eq!(times, ["03-28T01:30", "03-29T01:00", "03-30T00:30"]);
    }

    #[test]
    fn a_fixed_time_in_the_repeated_hour_occurs_once() {
        // On 25 October 2026, 03:00 becomes 02:00 in Berlin, which is 01:00 UTC.
        let times = upcoming("30 2 * * *", "2026-10-24T12:00:00Z", 2);
        assert_eq!(times, ["10-25T00:30", "10-26T01:30"]);
    }

    #[test]
    fn a_fixed_time_occurs_once_on_each_day_in_all_zones() {
        // Clocks change at midnight in Cairo, Beirut, Havana and Santiago, and by half an hour on Lord Howe Island.
        for zone in [
            "Europe/Berlin",
            "America/New_York",
            "Africa/Cairo",
            "Asia/Beirut",
            "America/Havana",
            "America/Santiago",
            "Australia/Lord_Howe",
            "Pacific/Chatham",
        ] {
            for cron in [
                "0 0 * * *",
                "30 0 * * *",
                "45 1 * * *",
                "15 2 * * *",
                "0 3 * * *",
                "59 23 * * *",
            ] {
                let timetable = Timetable::parse(cron, zone).unwrap();
                let times = timetable.upcoming("2026-01-02T12:00:00Z".parse().unwrap(), 400);
                let days: Vec<_> = times
                    .iter()
                    .map(|time| time.with_timezone(&timetable.zone).date_naive())
                    .collect();
                for (day, pair) in days.windows(2).zip(times.windows(2)) {
                    assert_eq!(day[0].succ_opt(), Some(day[1]), "{zone} {cron} {pair:?}");
                    let before = pair[1] - chrono::TimeDelta::seconds(1);
                    assert_eq!(timetable.last_until(before), Some(pair[0]), "{zone} {cron}");
                    assert_eq!(timetable.last_until(pair[1]), Some(pair[1]), "{zone} {cron}");
                }
            }
        }
    }

    #[test]
    fn intervals_follow_real_time() {
        let times = upcoming("0 * * * *", "2026-10-24T23:30:00Z", 4);
        assert_eq!(times, ["10-25T00:00", "10-25T01:00", "10-25T02:00", "10-25T03:00"]);
        let times = upcoming("*/30 * * * *", "2026-03-29T00:10:00Z", 3);
        assert_eq!(times, ["03-29T00:30", "03-29T01:00", "03-29T01:30"]);
    }

    #[test]
    fn the_last_occurrence_before_a_time_is_found() {
        let timetable = Timetable::parse("0 8 * * MON-FRI", "America/New_York").unwrap();
        let last = timetable.last_until("2026-11-29T12:00:00Z".parse().unwrap());
        assert_eq!(last, Some("2026-11-27T13:00:00Z".parse().unwrap()));
    }

    #[test]
    fn invalid_expressions_and_zones_are_refused() {
        for cron in ["", "* * * *", "* * * * * *", "@daily", "61 * * * *", "a b c d e"] {
            assert!(Timetable::parse(cron, "UTC").is_err(), "{cron}");
        }
        assert!(Timetable::parse("* * * * *", "Mars/Olympus").is_err());
        assert!(Timetable::parse("* * * * *", "UTC").is_ok());
        let never = Timetable::parse("0 0 30 2 *", "UTC").unwrap();
        assert_eq!(never.next_after("2026-01-01T00:00:00Z".parse().unwrap()), None);
    }
}
