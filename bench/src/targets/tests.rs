//! Tests of the table of targets: its verdicts and its ratios.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::*;

fn figures(all: &[(&str, &[f64])]) -> Figures {
    let mut figures = Figures::default();
    for (name, values) in all {
        for value in *values {
            figures.add(*name, "", *value);
        }
    }
    figures
}

fn compared<'a>(on: &'a Figures, off: &'a Figures) -> Compared<'a> {
    Compared {
        on,
        off,
        floor: None,
        previous: None,
        cores: 2,
        has_database: false,
        has_sandbox: true,
    }
}

fn line(compared: &Compared<'_>, name: &str) -> String {
    let table = compared.table();
    let line = table
        .lines()
        .find(|line| line.starts_with(name))
        .unwrap_or_else(|| panic!("{name} in {table}"));
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn stats(values: &[f64]) -> Stats {
    Stats::of(values).unwrap()
}

#[test]
fn the_median_decides_whether_a_bound_is_met() {
    assert!(AtLeast(4.0).is_met(stats(&[1.0, 4.0, 9.0]), None));
    assert!(!AtLeast(4.0).is_met(stats(&[1.0, 3.9, 9.0]), None));
    assert!(AtMost(0.18).is_met(stats(&[0.18]), None));
    assert!(!AtMost(0.18).is_met(stats(&[0.1, 0.181, 0.5]), None));
}

#[test]
fn durable_writes_are_added_to_a_time() {
    assert!(Writes(25.0, 2.0).is_met(stats(&[28.0]), Some(1.5)));
    assert!(!Writes(25.0, 2.0).is_met(stats(&[28.1]), Some(1.5)));
    assert!(
        !Writes(25.0, 2.0).is_met(stats(&[25.1]), None),
        "without a probe, a write counts as zero"
    );
    assert_eq!(Writes(25.0, 2.0).text(Some(1.5)), "≤ 28.0");
}

#[test]
fn one_round_with_a_loss_breaks_the_zero() {
    assert!(Zero.is_met(stats(&[0.0, 0.0, 0.0]), None));
    assert!(!Zero.is_met(stats(&[0.0, 0.0, 1.0]), None));
}

#[test]
fn ratios_are_taken_round_by_round() {
    assert_eq!(ratios(&[8.0, 9.0], &[2.0, 3.0]).unwrap(), [4.0, 3.0]);
    assert_eq!(
        ratios(&[8.0, 9.0, 10.0], &[3.0]).unwrap(),
        [3.0],
        "the medians, because the rounds differ"
    );
    assert!(ratios(&[8.0], &[]).is_none());
    assert!(ratios(&[], &[8.0]).is_none());
    assert!(ratios(&[8.0], &[0.0]).is_none());
}

#[test]
fn a_row_shows_its_ratio_its_verdicts_the_floor_and_the_server_without_limits() {
    let on = figures(&[(EXECUTED, &[4500.0, 5000.0, 5500.0])]);
    let off = figures(&[(EXECUTED, &[6000.0])]);
    let floor = figures(&[(EXECUTED, &[10_000.0, 10_000.0, 10_000.0])]);
    let mut compared = compared(&on, &off);
    compared.floor = Some(&floor);
    let name = "executed/s, 16 callers, to the floor";
    assert_eq!(
        line(&compared, name),
        format!("{name} 0.500 0.450 0.550 × ≥ 0.45 met ≥ 0.6 no 10000 0.600")
    );
    let slow = figures(&[(EXECUTED, &[4400.0])]);
    compared.on = &slow;
    assert_eq!(
        line(&compared, name),
        format!("{name} 0.440 0.440 0.440 × ≥ 0.45 NOT met ≥ 0.6 no 10000 0.600")
    );
}

#[test]
fn a_row_without_a_figure_says_why() {
    let (on, off) = (
        figures(&[(EXECUTED, &[5000.0]), (EXECUTED_64, &[5000.0])]),
        Figures::default(),
    );
    let mut compared = compared(&on, &off);
    let expect = |compared: &Compared<'_>, name: &str, reason: &str| {
        assert_eq!(line(compared, name), format!("{name} – {reason}"));
    };
    let previous = "executed/s, 16 callers, to the previous build";
    expect(&compared, previous, "needs a second --server, the previous build");
    expect(
        &compared,
        "executed/s, 64 callers, to the previous build",
        "needs 16 cores",
    );
    expect(
        &compared,
        "StartRun/s to PostgreSQL alone, 16 clients",
        "needs --database",
    );
    expect(&compared, "sandboxed `true`, p50", "not measured");
    expect(&compared, "executed/s, 16 callers, to the floor", "not measured");
    (compared.has_sandbox, compared.has_database) = (false, true);
    expect(&compared, "sandboxed `true`, p50", "needs bubblewrap");
    expect(
        &compared,
        "executed/s, 16 callers, to the floor",
        "the floor uses SQLite only",
    );
    assert!(
        compared
            .table()
            .ends_with("Must: 0 met, 0 NOT met, 31 without a figure.\n"),
        "{}",
        compared.table()
    );
}

#[test]
fn the_last_line_counts_the_verdicts() {
    let on = figures(&[(IDLE, &[25.0]), (FULL, &[50.1]), (LOST, &[0.0])]);
    let off = Figures::default();
    assert!(
        compared(&on, &off)
            .table()
            .ends_with("Must: 2 met, 1 NOT met, 28 without a figure.\n")
    );
}
