//! What the demo model tells when its script has run; every number comes from the script's own output.

use std::fmt::Write;

use super::plan::{Language, Plan};

/// Where the script writes the report.
pub(super) const PATH: &str = "output/report.md";

/// Where the script draws the chart.
const CHART: &str = "output/chart.svg";

/// The closing words.
pub(super) fn tell(plan: &Plan<'_>, file: &str, language: Language, facts: &str, is_read: bool) -> String {
    let facts: Vec<Vec<&str>> = facts
        .lines()
        .map(|line| line.trim_end().split('\t').collect())
        .collect();
    let of = |name: &str| {
        facts
            .iter()
            .filter(|fact| fact.first() == Some(&name))
            .collect::<Vec<_>>()
    };
    let part = |fact: &[&str], at: usize| fact.get(at).copied().unwrap_or("?").to_owned();
    let rows = of("rows").first().map(|fact| part(fact, 1)).unwrap_or_default();
    let made: Vec<String> = of("wrote").iter().map(|fact| part(fact, 1)).collect();
    let mut text = format!("I analyzed **{file}**: {rows} rows, {}.\n\n", plan.describe_table());
    if rows == "0" {
        text.push_str("There is a header but not a single row below it, so there is no chart to draw.\n");
    } else if made.iter().any(|path| path == CHART) {
        let _ = writeln!(text, "**{}**", plan.title);
    }
    let tops = of("top");
    if let Some(first) = tops.first() {
        let _ = write!(text, "- Highest: {} with {}", part(first, 1), part(first, 2));
        let others: Vec<String> = tops
            .iter()
            .skip(1)
            .map(|fact| format!("{} with {}", part(fact, 1), part(fact, 2)))
            .collect();
        if !others.is_empty() {
            let _ = write!(text, ", then {}", others.join(" and "));
        }
        text.push_str(
            ".
",
        );
    }
    if let (Some(first), Some(last)) = (of("first").first(), of("last").first()) {
        let _ = writeln!(
            text,
            "- From {} at {} to {} at {}.",
            part(first, 1),
            part(first, 2),
            part(last, 1),
            part(last, 2)
        );
    }
    if let Some(total) = of("total").first() {
        let _ = writeln!(text, "- In all: {}.", part(total, 1));
    }
    for number in of("number").iter().take(4) {
        let _ = write!(
            text,
            "- {}: {} to {}, mean {}",
            part(number, 1),
            part(number, 2),
            part(number, 4),
            part(number, 3)
        );
        if !plan.is_mean() {
            let _ = write!(text, ", sum {}", part(number, 5));
        }
        text.push_str(
            ".
",
        );
    }
    let mut files = made;
    files.push(language.path().to_owned());
    let files: Vec<String> = files.iter().map(|path| format!("`{path}`")).collect();
    let _ = write!(text, "\nFiles: {}.", files.join(", "));
    if !is_read {
        text.push_str(" I could not read the report back, so please look at it yourself.");
    }
    text.push_str("\n\nThis was the built-in demo model, which follows fixed rules; the numbers are the script's.");
    text
}
