//! The metrics of the process, from `/proc`. Their names are those of the Prometheus client libraries. A value that
//! cannot be read is left out.

use std::{fmt::Write, fs};

use super::names::{self, Kind};

/// The kernel shows times to programs in hundredths of a second on every platform that Rust supports.
const TICKS_PER_SECOND: f64 = 100.0;

/// Appends the metrics in the Prometheus text format.
pub(super) fn render(text: &mut String) {
    let stat = read("stat");
    let status = read("status");
    let limits = read("limits");
    // The name of the program is in parentheses and may contain spaces. The first field after it is the third one.
    let stat: Vec<&str> = stat
        .rsplit_once(')')
        .map(|(_, fields)| fields.split_whitespace().collect())
        .unwrap_or_default();
    let field = |number: usize| stat.get(number - 3)?.parse::<f64>().ok();
    let kilobytes = |key: &str| number_after(&status, key).map(|count| count * 1024.0);
    let cpu = field(14)
        .zip(field(15))
        .map(|(user, system)| (user + system) / TICKS_PER_SECOND);
    let booted = fs::read_to_string("/proc/stat").ok();
    let booted = booted.and_then(|stat| number_after(&stat, "btime "));
    let started = booted
        .zip(field(22))
        .map(|(booted, ticks)| booted + ticks / TICKS_PER_SECOND);
    // The open folder itself is one of the descriptors.
    let open = fs::read_dir("/proc/self/fd")
        .ok()
        .map(|open| open.count().saturating_sub(1));
    let open = open.and_then(|count| u32::try_from(count).ok()).map(f64::from);
    for (name, value) in [
        (names::PROCESS_CPU, cpu),
        (names::PROCESS_RESIDENT, kilobytes("VmRSS:")),
        (names::PROCESS_VIRTUAL, kilobytes("VmSize:")),
        (names::PROCESS_THREADS, number_after(&status, "Threads:")),
        (names::PROCESS_FDS, open),
        (names::PROCESS_MAX_FDS, number_after(&limits, "Max open files")),
        (names::PROCESS_START, started),
    ] {
        let Some(value) = value else { continue };
        append(text, name, value);
    }
}

fn append(text: &mut String, name: &str, value: f64) {
    let Some(metric) = names::ALL.iter().find(|metric| metric.name == name) else {
        return;
    };
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge | Kind::Histogram => "gauge",
    };
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "# HELP {name} {}\n# TYPE {name} {kind}\n{name} {value}\n\n",
        metric.meaning
    );
}

fn read(name: &str) -> String {
    fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default()
}

/// Returns the first number of the line that starts with `key`.
fn number_after(text: &str, key: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_this_process_is_plausible() {
        let mut text = String::new();
        render(&mut text);
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            assert!(line.is_some(), "{name} is missing: {text}");
            line.unwrap().parse::<f64>().unwrap()
        };
        let (resident, virtual_size) = (value(names::PROCESS_RESIDENT), value(names::PROCESS_VIRTUAL));
        assert!(resident > 1e6 && resident < virtual_size, "{text}");
        assert!(value(names::PROCESS_THREADS) >= 1.0 && value(names::PROCESS_CPU) >= 0.0);
        let (open, most) = (value(names::PROCESS_FDS), value(names::PROCESS_MAX_FDS));
        assert!(open >= 3.0 && open < most, "{text}");
        assert!(value(names::PROCESS_START) > 1.7e9, "{text}");
    }
}
