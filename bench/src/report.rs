//! Prints the results as a table. For each figure, the table has the median, minimum and maximum, the target, and the
//! ratio to the value of a bare program.

use std::{collections::HashMap, fmt::Write};

use crate::Fault;

/// The target of a figure.
#[derive(Clone, Copy)]
enum Goal {
    AtLeast(f64),
    AtMost(f64),
    None,
}

/// The target of each figure, and the figure's value for a bare program: axum and SQLite without authentication, limits
/// and transcoding. The value is `None` if the bare program has no such figure.
const GOALS: &[(&str, Goal, Option<f64>)] = &[
    ("start-up, existing data", Goal::AtMost(30.0), Some(10.0)),
    ("memory, idle", Goal::AtMost(30.0), Some(6.0)),
    ("StartRun 16 gRPC: executed", Goal::AtLeast(5_333.0), Some(16_000.0)),
    ("StartRun 16 gRPC: p99", Goal::None, Some(3.0)),
    ("StartRun 16 gRPC: server CPU/run", Goal::AtMost(0.18), Some(0.06)),
    ("StartRun 16 JSON/gRPC: executed", Goal::AtLeast(0.8), None),
    ("100 × 200 tokens: events", Goal::AtLeast(40_000.0), Some(105_000.0)),
    ("100 × 200 tokens: CPU/event", Goal::AtMost(20.4), Some(6.8)),
    ("first token, added", Goal::AtMost(1.5), Some(0.5)),
];
/// The figure whose target depends on the disk. The target is this number of milliseconds plus the time of two durable
/// writes.
const TAIL: (&str, f64) = ("StartRun 64 gRPC: p99", 20.0);
/// Name of the figure for one durable write.
pub(crate) const FDATASYNC: &str = "fdatasync of 4 KiB";

/// The figures of one server, in the order in which they were added.
#[derive(Default)]
pub(crate) struct Figures {
    order: Vec<(String, &'static str)>,
    values: HashMap<String, Vec<f64>>,
}

impl Figures {
    /// Adds a value to a figure.
    pub(crate) fn add(&mut self, name: impl Into<String>, unit: &'static str, value: f64) {
        let name = name.into();
        let values = self.values.entry(name.clone()).or_insert_with(|| {
            self.order.push((name, unit));
            Vec::new()
        });
        values.push(value);
    }

    /// Returns the median of a figure, or `None` if the figure has no values.
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        let mut values = self.values.get(name)?.clone();
        values.sort_unstable_by(f64::total_cmp);
        Some(median(&values))
    }

    /// Formats the table. The last column has the medians of `off`, the figures of a server without limits.
    pub(crate) fn table(&self, off: &Self) -> String {
        let mut table = String::new();
        let _ = writeln!(
            table,
            "{:<44}{:>10} {:>10} {:>10}  {:<9}{:>10}  {:<8}{:>10} {:>10}",
            "", "median", "min", "max", "", "target", "", "vs. bare", "limits off"
        );
        for (name, unit) in &self.order {
            let Some(values) = self.values.get(name) else { continue };
            let mut values = values.clone();
            values.sort_unstable_by(f64::total_cmp);
            let middle = median(&values);
            let (goal, bare) = self.goal(name);
            let (target, verdict) = match goal {
                Goal::AtLeast(least) => (
                    format!("≥ {}", shown(least)),
                    if middle >= least { "met" } else { "NOT met" },
                ),
                Goal::AtMost(most) => (
                    format!("≤ {}", shown(most)),
                    if middle <= most { "met" } else { "NOT met" },
                ),
                Goal::None => (String::new(), ""),
            };
            let bare = bare.map(|bare| {
                if middle > bare {
                    format!("{:.1} ×", middle / bare)
                } else {
                    format!("1/{:.1}", bare / middle)
                }
            });
            let _ = writeln!(
                table,
                "{name:<44}{:>10} {:>10} {:>10}  {unit:<9}{target:>10}  {verdict:<8}{:>10} {:>10}",
                shown(middle),
                shown(values.first().copied().unwrap_or_default()),
                shown(values.last().copied().unwrap_or_default()),
                bare.unwrap_or_default(),
                off.median(name).map(shown).unwrap_or_default(),
            );
        }
        table
    }

    fn goal(&self, name: &str) -> (Goal, Option<f64>) {
        if name == TAIL.0 {
            let write = self.median(FDATASYNC).unwrap_or_default();
            return (Goal::AtMost(TAIL.1 + 2.0 * write), None);
        }
        GOALS
            .iter()
            .find(|(goal, ..)| *goal == name)
            .map_or((Goal::None, None), |(_, goal, bare)| (*goal, *bare))
    }
}

/// Returns the median of sorted values, or 0 if there are no values.
pub(crate) fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

fn shown(value: f64) -> String {
    match value.abs() {
        large if large >= 1000.0 => format!("{value:.0}"),
        large if large >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// Prints a line of the result.
#[expect(clippy::print_stdout, reason = "the only function that prints results")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Prints progress to standard error.
#[expect(clippy::print_stderr, reason = "the only function that prints progress")]
pub(crate) fn note(line: &str) {
    eprintln!("{line}");
}

/// Prints an error.
pub(crate) fn complain(fault: &Fault) {
    note(&format!("runyard-bench: {fault}"));
}
