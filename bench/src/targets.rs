//! Prints Runyard's targets as a table. Each row compares a figure with a required and a desired bound, and with the
//! same figure of the minimal comparison server (`floor.rs`).

use std::fmt::Write;

use crate::{
    paced::LARGE,
    report::{Figures, Stats, shown},
};

pub(crate) const FDATASYNC: &str = "fdatasync of 4 KiB";
pub(crate) const EXISTING: &str = "start-up, data of many runs";
pub(crate) const NEW_FOLDER: &str = "start-up, new data folder";
pub(crate) const IDLE: &str = "memory, idle";
pub(crate) const STREAMING: &str = "memory, 100 live streams";
pub(crate) const FULL: &str = "memory, after many runs";
pub(crate) const PACED_CPU: &str = "100 live streams × 10 tokens/s: CPU/token";
pub(crate) const FIRST: &str = "first token, added";
pub(crate) const DELIVERED: &str = "many streams: delivered of the offered rate";
pub(crate) const SLOWEST: &str = "many streams: run p99 to its model's time";
pub(crate) const LOST: &str = "many streams: incomplete runs";
pub(crate) const GETS: &str = "GetRun 16 gRPC";
pub(crate) const ECHO_GETS: &str = "bare gRPC echo of GetRun, 16 callers";
pub(crate) const TRUE: &str = "sandboxed `true`, with the call's commit: p50";
pub(crate) const FIRST_TRIPS: &str = "two MCP servers: round trips of the first run of a saved agent";
pub(crate) const KNOWN: &str = "two MCP servers: round trips of the first run of another agent";
pub(crate) const TRIPS: &str = "two MCP servers: round trips of a later run";
pub(crate) const WITHOUT_SERVERS: &str = "StartRun without MCP servers: p50";
pub(crate) const WITH_SERVERS: &str = "StartRun with two MCP servers: p50";
pub(crate) const DELIVERIES: &str = "webhooks: deliveries to a local receiver";
pub(crate) const WRONG_DELIVERIES: &str = "webhooks: missing or repeated deliveries";
pub(crate) const ANSWERED: &str = "50 waiting runs: answer to the tool's result, p99";
pub(crate) const WAITING_MEMORY: &str = "10,000 waiting runs: added memory";
pub(crate) const WAITING_CPU: &str = "10,000 waiting runs: added CPU in 10 s";
pub(crate) const ROWS_ALONE: &str = "PostgreSQL, rows of a start, 16 clients";

#[derive(Clone, Copy, Debug)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// An upper bound: the first number in milliseconds, plus the second number times the duration of one durable
    /// write.
    Writes(f64, f64),
    /// Zero in every round.
    Zero,
}

#[derive(Clone, Copy)]
enum Value {
    Of(&'static str),
    ToFloor(&'static str),
    ToPrevious(&'static str),
    Ratio(&'static str, &'static str),
}

/// A requirement on the machine or the options. If the requirement is not met, the row has no figure.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    ManyCores,
    Database,
    Sandbox,
}

struct Row(&'static str, &'static str, Value, Option<Bound>, Option<Bound>, Need);

use Bound::{AtLeast, AtMost, Writes, Zero};
use Need::{Database, ManyCores, Nothing, Sandbox};
use Value::{Of, Ratio, ToFloor, ToPrevious};

const EXECUTED: &str = "StartRun 16 gRPC: executed";
const EXECUTED_64: &str = "StartRun 64 gRPC: executed";
const CPU: &str = "StartRun 16 gRPC: server CPU/run";
const TOKENS: &str = "100 × 200 tokens: tokens";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row("executed/s, 16 callers, to the previous build", "×", ToPrevious(EXECUTED), Some(AtLeast(4.0)), Some(AtLeast(6.0)), Nothing),
    Row("executed/s, 16 callers, to the floor", "×", ToFloor(EXECUTED), Some(AtLeast(0.45)), Some(AtLeast(0.6)), Nothing),
    Row("server CPU per run, 16 callers", "ms", Of(CPU), Some(AtMost(0.18)), Some(AtMost(0.10)), Nothing),
    Row("server CPU per run, 16 callers, to the floor", "×", ToFloor(CPU), Some(AtMost(2.9)), None, Nothing),
    Row("StartRun p50, 1 caller, to the floor", "×", ToFloor("StartRun 1 gRPC: p50"), Some(AtMost(2.0)), Some(AtMost(1.5)), Nothing),
    Row("StartRun p99, 64 callers", "ms", Of("StartRun 64 gRPC: p99"), Some(Writes(25.0, 2.0)), Some(AtMost(15.0)), Nothing),
    Row("CPU per paced token", "µs", Of(PACED_CPU), Some(AtMost(50.0)), Some(AtMost(30.0)), Nothing),
    Row("tokens/s, 100 × 200, to the floor", "×", ToFloor(TOKENS), Some(AtLeast(1.4)), Some(AtLeast(2.0)), Nothing),
    Row("first token added, 1 stream", "ms", Of(FIRST), Some(Writes(1.5, 1.0)), Some(AtMost(1.0)), Nothing),
    Row("many streams, delivered of the offered rate", "×", Of(DELIVERED), Some(AtLeast(0.95)), None, Nothing),
    Row("many streams, p99 of a run to the ideal time", "×", Of(SLOWEST), Some(AtMost(1.1)), None, Nothing),
    Row("many streams, incomplete runs", "runs", Of(LOST), Some(Zero), None, Nothing),
    Row("executed/s, 64 callers, to the previous build", "×", ToPrevious(EXECUTED_64), Some(AtLeast(3.0)), None, ManyCores),
    Row("executed/s, 64 callers", "runs/s", Of(EXECUTED_64), None, Some(AtLeast(12_000.0)), ManyCores),
    Row("gRPC GetRun to the raw echo", "×", Ratio(GETS, ECHO_GETS), Some(AtLeast(0.7)), None, Nothing),
    Row("StartRun over JSON to gRPC, 16 callers", "×", Ratio("StartRun 16 JSON: executed", EXECUTED), Some(AtLeast(1.0)), None, Nothing),
    Row("memory, idle", "MiB", Of(IDLE), Some(AtMost(25.0)), Some(AtMost(15.0)), Nothing),
    Row("memory, 100 streams", "MiB", Of(STREAMING), Some(AtMost(45.0)), Some(AtMost(30.0)), Nothing),
    Row("memory, after many runs", "MiB", Of(FULL), Some(AtMost(50.0)), Some(AtMost(35.0)), Nothing),
    Row("start-up, data of many runs", "ms", Of(EXISTING), Some(AtMost(30.0)), Some(AtMost(15.0)), Nothing),
    Row("start-up, new folder", "ms", Of(NEW_FOLDER), Some(AtMost(60.0)), None, Nothing),
    Row("sandboxed `true`, p50", "ms", Of(TRUE), Some(AtMost(8.0)), Some(AtMost(5.0)), Sandbox),
    // A round trip takes 50 ms. The remainder is the work of both programs.
    Row("two MCP servers, round trips added to the first run of a saved agent", "trips", Of(FIRST_TRIPS), Some(AtMost(1.2)), Some(AtMost(1.1)), Nothing),
    Row("two MCP servers, round trips added to the first run of another agent", "trips", Of(KNOWN), Some(AtMost(1.2)), Some(AtMost(1.1)), Nothing),
    Row("two MCP servers, round trips added to a run", "trips", Of(TRIPS), Some(AtMost(1.2)), Some(AtMost(1.1)), Nothing),
    Row("two MCP servers, StartRun p50 to that without", "×", Ratio(WITH_SERVERS, WITHOUT_SERVERS), Some(AtMost(1.1)), None, Nothing),
    Row("webhook deliveries/s to a local receiver", "/s", Of(DELIVERIES), Some(AtLeast(1_000.0)), None, Nothing),
    Row("webhook deliveries, missing or repeated", "", Of(WRONG_DELIVERIES), Some(Zero), None, Nothing),
    Row("answered input to the next step of its run, p99", "ms", Of(ANSWERED), Some(AtMost(20.0)), Some(AtMost(10.0)), Nothing),
    Row("10,000 waiting runs, added memory", "MiB", Of(WAITING_MEMORY), Some(AtMost(10.0)), Some(AtMost(5.0)), Nothing),
    // The clock and the sampling of metrics vary by some milliseconds.
    Row("10,000 waiting runs, added CPU in 10 s", "ms", Of(WAITING_CPU), Some(AtMost(10.0)), None, Nothing),
    Row("StartRun/s to PostgreSQL alone, 16 clients", "×", Ratio("StartRun 16 gRPC: answered", ROWS_ALONE), Some(AtLeast(0.6)), Some(AtLeast(0.8)), Database),
];

pub(crate) struct Compared<'a> {
    /// Figures of the server with limits.
    pub(crate) on: &'a Figures,
    /// Figures of the server without limits.
    pub(crate) off: &'a Figures,
    /// The minimal comparison server (`floor.rs`), measured only with SQLite.
    pub(crate) floor: Option<&'a Figures>,
    /// The previous build of the server, with limits.
    pub(crate) previous: Option<&'a Figures>,
    pub(crate) cores: usize,
    pub(crate) has_database: bool,
    pub(crate) has_sandbox: bool,
}

impl Bound {
    fn is_met(self, stats: Stats, write: Option<f64>) -> bool {
        match self {
            AtLeast(least) => stats.median >= least,
            AtMost(most) => stats.median <= most,
            Writes(..) => stats.median <= self.most(write),
            Zero => stats.min.abs().max(stats.max.abs()) <= 0.0,
        }
    }

    fn most(self, write: Option<f64>) -> f64 {
        match self {
            Writes(time, writes) => time + writes * write.unwrap_or_default(),
            AtLeast(bound) | AtMost(bound) => bound,
            Zero => 0.0,
        }
    }

    fn text(self, write: Option<f64>) -> String {
        match self {
            AtLeast(least) => format!("≥ {least}"),
            AtMost(most) => format!("≤ {most}"),
            Writes(..) => format!("≤ {:.1}", self.most(write)),
            Zero => "0".to_owned(),
        }
    }
}

impl Compared<'_> {
    pub(crate) fn table(&self) -> String {
        let mut table = format!(
            "{:<50}{:>10} {:>10} {:>10}  {:<7}{:>8} {:<8}{:>8} {:<8}{:>9} {:>11}\n",
            "Targets, limits on", "median", "min", "max", "", "must", "", "aim", "", "floor", "limits off"
        );
        let mut counts = [0; 3];
        for row in ROWS {
            let (line, verdict) = self.line(row);
            table.push_str(line.trim_end());
            table.push('\n');
            if row.3.is_some() {
                counts[verdict.map_or(2, usize::from)] += 1;
            }
        }
        let [not_met, met, missing] = counts;
        let _ = writeln!(table, "Must: {met} met, {not_met} NOT met, {missing} without a figure.");
        table
    }

    /// Formats a row. The second value tells whether the row meets its required bound; `None` if the figure or the
    /// bound is missing.
    fn line(&self, row: &Row) -> (String, Option<bool>) {
        let Row(name, unit, value, must, aim, _) = row;
        let Some(stats) = self.stats(row) else {
            return (format!("{name:<50}{:>10}  {}", "–", self.reason(row)), None);
        };
        let write = self.on.median(FDATASYNC);
        let text = |bound: &Option<Bound>| bound.map(|bound| bound.text(write)).unwrap_or_default();
        let is_met = must.map(|bound| bound.is_met(stats, write));
        let must_verdict = is_met.map_or("", |is_met| if is_met { "met" } else { "NOT met" });
        let aim_verdict = aim.map_or("", |bound| if bound.is_met(stats, write) { "met" } else { "no" });
        let line = format!(
            "{name:<50}{:>10} {:>10} {:>10}  {unit:<7}{:>8} {must_verdict:<8}{:>8} {aim_verdict:<8}{:>9} {:>11}",
            shown(stats.median),
            shown(stats.min),
            shown(stats.max),
            text(must),
            text(aim),
            self.floor
                .and_then(|floor| raw(floor, *value))
                .map(shown)
                .unwrap_or_default(),
            self.values(self.off, *value)
                .and_then(|values| Stats::of(&values))
                .map(|off| shown(off.median))
                .unwrap_or_default(),
        );
        (line, is_met)
    }

    fn stats(&self, row: &Row) -> Option<Stats> {
        if row.5 == ManyCores && self.cores < LARGE {
            return None;
        }
        Stats::of(&self.values(self.on, row.2)?)
    }

    fn values(&self, server: &Figures, value: Value) -> Option<Vec<f64>> {
        match value {
            Of(name) => Some(server.values(name).to_vec()),
            ToFloor(name) => ratios(server.values(name), self.floor?.values(name)),
            ToPrevious(name) => ratios(server.values(name), self.previous?.values(name)),
            Ratio(name, other) => ratios(server.values(name), server.values(other)),
        }
    }

    fn reason(&self, row: &Row) -> &'static str {
        match (row.5, row.2) {
            (ManyCores, _) if self.cores < LARGE => "needs 16 cores",
            (Database, _) if !self.has_database => "needs --database",
            (Sandbox, _) if !self.has_sandbox => "needs bubblewrap",
            (_, ToPrevious(_)) if self.previous.is_none() => "needs a second --server, the previous build",
            (_, ToFloor(_)) if self.has_database => "the floor uses SQLite only",
            _ => "not measured",
        }
    }
}

/// Returns the median of a row's figure, or of the ratio of its two figures.
fn raw(floor: &Figures, value: Value) -> Option<f64> {
    match value {
        Of(name) | ToFloor(name) | ToPrevious(name) => floor.median(name),
        Ratio(name, other) => Stats::of(&ratios(floor.values(name), floor.values(other))?).map(|stats| stats.median),
    }
}

/// Divides two figures: value by value if both have equally many values, otherwise median by median. Returns `None`
/// if a figure is missing or a divisor is zero.
fn ratios(figure: &[f64], to: &[f64]) -> Option<Vec<f64>> {
    if to.iter().any(|value| *value <= 0.0) {
        return None;
    }
    let (middle, to_middle) = (Stats::of(figure)?, Stats::of(to)?);
    if figure.len() == to.len() {
        return Some(figure.iter().zip(to).map(|(one, other)| one / other).collect());
    }
    Some(vec![middle.median / to_middle.median])
}

#[cfg(test)]
mod tests;
