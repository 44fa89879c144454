//! Checks that comments and documents do not contain the phrases that docs/STYLE.md replaces.

use std::{path::Path, sync::LazyLock};

use regex::Regex;

/// Regular expressions of phrases to avoid, each with its replacement.
const PHRASES: &[(&str, &str)] = &[
    (r"\bany more\b", "no longer"),
    (r"\b(somebody|nobody|whoever)\b", "name the actor"),
    (r"\b(another|nobody|somebody)'s\b", "name the owner"),
    (r"\bat most([.,;:)]|$)", "`maximum` or `up to`, before the noun"),
    (r"\bof (its|their|his) own([.,;:)]|$)", "its own, before the noun"),
    (r"\blooked at\b", "checked"),
    (r"\b(is|are|was|were|be|been) asked for\b", "requested"),
    (r"\bwaited for\b", "awaited"),
    (r"\btak(en|ing) up\b", "resumed"),
    (r"\bpass(es|ed) over\b", "skipped"),
    (r"\b(go|goes|went) away\b", "fails, ends or is removed"),
    (r"\bset aside\b", "reserved"),
    (r"\bwho asks\b", "the caller"),
    (r"\bthose who\b", "name the actor"),
    (r"\bdoors?\b", "protocol or API"),
    (r"\b(worker|free) seats?\b", "worker slot"),
    (r"\btenure\b", "credential expiry"),
    (r"\bchange of threads\b", "thread hop"),
    (r"\bthe seed'?s'? words\b", "wording fixed by the API documentation"),
];

/// First words that leave a comment without a clear subject.
const OPENINGS: &str = r"^(What|Who|Whoever|Since when|Until when|How many|How much) ";

/// Files that define or quote the phrases.
const EXEMPT: &[&str] = &[
    "docs/STYLE.md",
    "tests/it/prose.rs",
    "docs/seeds.md",
    "proto/google/",
    "tests/clients/GOLDEN.md",
];

/// Returns the lines of prose in a file: line number, text, and true if a comment or paragraph starts at the line.
fn prose(path: &str, text: &str) -> Vec<(usize, String, bool)> {
    let mark = match Path::new(path).extension().and_then(|name| name.to_str()) {
        Some("rs" | "proto" | "ts" | "tsx" | "mjs") => "//",
        Some("py" | "sh" | "toml" | "yaml") => "#",
        Some("md") => "",
        _ => return Vec::new(),
    };
    let mut lines = Vec::new();
    let (mut continues, mut in_code) = (false, false);
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        in_code ^= mark.is_empty() && line.starts_with("```");
        let is_prose = line.starts_with(mark) && !line.starts_with("#[") && !line.starts_with("#!") && !in_code;
        if is_prose {
            let text = line.trim_start_matches(['/', '!', '#']).trim();
            lines.push((number + 1, text.to_owned(), !continues));
        }
        continues = is_prose && !line.trim_start_matches(['/', '!', '#']).trim().is_empty();
    }
    lines
}

/// The phrases are compiled only once, because compiling them for each file would take a minute.
static COMPILED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let compile = |phrase: &str| Regex::new(&format!("(?i){phrase}")).unwrap();
    PHRASES
        .iter()
        .map(|(phrase, instead)| (compile(phrase), *instead))
        .collect()
});

static OPENING: LazyLock<Regex> = LazyLock::new(|| Regex::new(OPENINGS).unwrap());

fn faults(path: &str, text: &str) -> Vec<String> {
    let is_document = Path::new(path).extension().is_some_and(|name| name == "md");
    let mut found = Vec::new();
    for (number, line, is_start) in prose(path, text) {
        for (phrase, instead) in COMPILED.iter() {
            if let Some(found_here) = phrase.find(&line) {
                found.push(format!("{path}:{number}: {:?}; write: {instead}", found_here.as_str()));
            }
        }
        if is_start && !is_document && OPENING.is_match(&line) {
            found.push(format!("{path}:{number}: {line:?}; start with the noun"));
        }
    }
    found
}

const SKIPPED: &[&str] = &[
    ".git",
    "target",
    "data",
    "node_modules",
    "dist",
    "build",
    "generated",
    "_proto",
    "snapshots",
    "corpus",
    "artifacts",
];

/// Lists the files of a folder. `prefix` is the path of the folder from the root of the repository.
fn files(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && !SKIPPED.contains(&name.as_str()) && !name.starts_with('.') {
            files(&entry.path(), &format!("{path}/"), found);
        } else if kind.is_file() {
            found.push(path);
        }
    }
}

#[test]
fn comments_and_documents_use_plain_phrases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    files(root, "", &mut paths);
    let mut found = Vec::new();
    let mut read = 0;
    for path in paths {
        if EXEMPT.iter().any(|exempt| path.starts_with(exempt)) {
            continue;
        }
        if let Ok(text) = std::fs::read_to_string(root.join(&path)) {
            read += usize::from(!prose(&path, &text).is_empty());
            found.extend(faults(&path, &text));
        }
    }
    assert!(read > 500, "only {read} files were read");
    assert!(
        found.is_empty(),
        "phrases that STYLE.md replaces:\n  {}",
        found.join("\n  ")
    );
}

#[test]
fn a_phrase_is_found_in_every_kind_of_comment() {
    for (path, text) in [
        ("a.rs", "/// It is not needed any more."),
        ("a.rs", "let a = 1;\n    // Ten files at most."),
        ("a.sh", "# Somebody else has the lock."),
        ("a.md", "A run is taken up again."),
        ("a.proto", "  // What the run costs."),
    ] {
        assert_eq!(faults(path, text).len(), 1, "{path}: {text}");
    }
    for (path, text) in [
        ("a.rs", "let any_more = \"any more\";"),
        ("a.rs", "/// A list of at most ten files."),
        ("a.md", "```sh\necho any more\n```"),
        ("a.rs", "// The caller decides\n// What is wrapped is no opening."),
    ] {
        assert_eq!(faults(path, text), [""; 0], "{path}: {text}");
    }
}
