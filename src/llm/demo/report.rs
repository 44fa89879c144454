//! Final answer of the demo model after its script has run. Every number comes from the script's output.

use std::fmt::Write;

use super::plan::{Analysis, Language};

/// Path of the report that the script writes.
pub(super) const PATH: &str = "output/report.md";

/// Path of the chart that the script draws.
const CHART: &str = "output/chart.svg";

/// Writes the final answer.
pub(super) fn tell(plan: &Analysis<'_>, file: &str, language: Language, facts: &str, is_read: bool) -> String {
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
        text.push_str("The table has a header but no rows, so there is no chart.\n");
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
        let _ = writeln!(text, "- Total: {}.", part(total, 1));
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
        text.push_str(" I could not read the report back, so please check it yourself.");
    }
    text.push_str("\n\nThe built-in demo model wrote this answer by fixed rules; the numbers come from the script.");
    text
}
