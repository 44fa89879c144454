//! Collects the figures of the servers and prints them as a table.

use std::{collections::HashMap, fmt::Write};

use crate::Fault;

#[derive(Default)]
pub(crate) struct Figures {
    order: Vec<(String, &'static str)>,
    values: HashMap<String, Vec<f64>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Stats {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Stats {
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        Some(Self {
            median: median(&sorted),
            min: *sorted.first()?,
            max: *sorted.last()?,
        })
    }
}

impl Figures {
    pub(crate) fn add(&mut self, name: impl Into<String>, unit: &'static str, value: f64) {
        let name = name.into();
        let values = self.values.entry(name.clone()).or_insert_with(|| {
            self.order.push((name, unit));
            Vec::new()
        });
        values.push(value);
    }

    /// Returns the values of a figure; no values for an unknown figure.
    pub(crate) fn values(&self, name: &str) -> &[f64] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        Stats::of(self.values(name)).map(|stats| stats.median)
    }

    /// Formats all figures. The last columns are the medians of the minimal comparison server (`floor`) and of the
    /// server without limits (`off`).
    pub(crate) fn table(&self, floor: Option<&Self>, off: &Self) -> String {
        let mut table = format!(
            "{:<48}{:>10} {:>10} {:>10}  {:<9}{:>10} {:>10}\n",
            "", "median", "min", "max", "", "floor", "limits off"
        );
        for (name, unit) in &self.order {
            let Some(stats) = Stats::of(self.values(name)) else {
                continue;
            };
            let _ = writeln!(
                table,
                "{name:<48}{:>10} {:>10} {:>10}  {unit:<9}{:>10} {:>10}",
                shown(stats.median),
                shown(stats.min),
                shown(stats.max),
                floor
                    .and_then(|floor| floor.median(name))
                    .map(shown)
                    .unwrap_or_default(),
                off.median(name).map(shown).unwrap_or_default(),
            );
        }
        table
    }
}

pub(crate) fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

pub(crate) fn shown(value: f64) -> String {
    match value.abs() {
        large if large >= 1000.0 => format!("{value:.0}"),
        large if large >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[expect(clippy::print_stdout, reason = "the only function that prints results")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "the only function that prints progress")]
pub(crate) fn note(line: &str) {
    eprintln!("{line}");
}

pub(crate) fn complain(fault: &Fault) {
    note(&format!("runyard-bench: {fault}"));
}
