//! Checks docs/seeds.md, which lists sentences of the API documentation and their tests. Every listed test must
//! exist.

use std::{fs, path::Path};

/// Number of sentences on the page without a test. Never raise this number.
const UNCOVERED: usize = 0;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The number of sentences on the page, and the BLAKE3 hash of all sentences, each followed by a newline. If you
/// change the page on purpose, update both values.
const SENTENCES: (usize, &str) = (106, "bcade45cea79b1cfc0fb28306dcf480624a41b0808245bf26938826d7f4cd479");

/// Returns the rows of the page. Each row is a sentence and its tests.
fn rows() -> Vec<(String, String)> {
    let page = fs::read_to_string(root().join("docs/seeds.md")).unwrap();
    let cells = |line: &str| {
        let (sentence, tests) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
        Some((sentence.to_owned(), tests.to_owned()))
    };
    let rows = page.lines().filter_map(cells);
    rows.filter(|(sentence, _)| sentence != "the seed says").collect()
}

/// Returns true if the sources contain a test with this path, such as `service::start::a_thread_goes_on`.
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
    assert_eq!(
        (rows.len(), hash.as_str()),
        SENTENCES,
        "the sentences in docs/seeds.md changed; if this is intended, update SENTENCES in tests/it/seeds.rs"
    );
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
                missing.push(format!("{test} for: {sentence}"));
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
        "the number of sentences without a test changed; lower UNCOVERED in tests/it/seeds.rs, or add the missing test"
    );
}

#[test]
fn the_check_distinguishes_tests_from_other_names() {
    assert!(exists("seeds::the_check_distinguishes_tests_from_other_names"));
    assert!(!exists("seeds::rows"));
    assert!(!exists("seeds::no_such_test"));
    assert!(!exists("no_such_module::x"));
    assert!(!exists("x"));
}
