//! docs/seeds.md: every test that it names exists, and the sentences without a test can only become fewer.

use std::{fs, path::Path};

/// Sentences that no test covers yet. Never more than this; who writes a test makes it less.
const UNCOVERED: usize = 0;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The sentences of the two seeds, as the page has them: how many they are, and BLAKE3 of them, one on each line. A sentence
/// that vanishes or is written anew is seen here; who means it writes the new number down.
const SENTENCES: (usize, &str) = (106, "bcade45cea79b1cfc0fb28306dcf480624a41b0808245bf26938826d7f4cd479");

/// The rows: the sentence and what stands beside it.
fn rows() -> Vec<(String, String)> {
    let page = fs::read_to_string(root().join("docs/seeds.md")).unwrap();
    let cells = |line: &str| {
        let (sentence, tests) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
        Some((sentence.to_owned(), tests.to_owned()))
    };
    let rows = page.lines().filter_map(cells);
    rows.filter(|(sentence, _)| sentence != "the seed says").collect()
}

/// Whether a test such as `service::start::a_thread_goes_on` is in the sources, as a test.
fn exists(test: &str) -> bool {
    let Some((module, name)) = test.rsplit_once("::") else {
        return false;
    };
    let path = root()
        .join("tests/it")
        .join(module.replace("::", "/"))
        .with_extension("rs");
    let source = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = source.lines().map(str::trim_start).collect();
    let is_head = |line: &str| {
        let after = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "));
        after.is_some_and(|rest| rest.strip_prefix(name).is_some_and(|rest| rest.starts_with("()")))
    };
    lines.iter().enumerate().any(|(at, line)| {
        let marks = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        is_head(line)
            && marks
                .into_iter()
                .any(|mark| ["#[test]", "#[tokio::test]"].contains(mark))
    })
}

#[test]
fn every_sentence_has_a_test_that_exists() {
    let rows = rows();
    let sentences: String = rows
        .iter()
        .flat_map(|(sentence, _)| [sentence.as_str(), "\n"])
        .collect();
    let hash = blake3::hash(sentences.as_bytes()).to_hex().to_string();
    assert_eq!((rows.len(), hash.as_str()), SENTENCES, "the sentences of the seeds");
    let mut missing = Vec::new();
    let mut uncovered = 0;
    for (sentence, tests) in &rows {
        if tests == "—" {
            uncovered += 1;
            continue;
        }
        for test in tests.split(", ") {
            let name = test.strip_prefix('`').and_then(|test| test.strip_suffix('`'));
            if !name.is_some_and(exists) {
                missing.push(format!("{test} beside: {sentence}"));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "docs/seeds.md names tests that do not exist:\n  {}",
        missing.join("\n  ")
    );
    assert_eq!(
        uncovered, UNCOVERED,
        "sentences without a test: the number is kept in this file, and can only shrink"
    );
}

/// The check can fail: it knows a test from a function and from nothing.
#[test]
fn the_check_sees_what_it_looks_for() {
    assert!(exists("seeds::the_check_sees_what_it_looks_for"));
    assert!(!exists("seeds::rows"));
    assert!(!exists("seeds::no_such_test"));
    assert!(!exists("no_such_module::x"));
    assert!(!exists("x"));
}
