//! The rules of the house, as tests: where things live, how long files are, who may look at whom.
//!
//! A rule that turns out wrong is changed here, with a reason; code that breaks one is changed there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const MAX_LINES: usize = 400;

/// Longer files, each with the reason why it is one piece.
const LONG: &[(&str, usize, &str)] = &[(
    "src/wire/http/request.rs",
    420,
    "one request becomes one message: path, query, headers and body in one order",
)];

/// Names that say nothing about what is in a file.
const EMPTY_NAMES: &[&str] = &[
    "mod",
    "util",
    "utils",
    "common",
    "helper",
    "helpers",
    "manager",
    "service",
    "services",
    "types",
    "handler",
    "handlers",
    "repository",
    "misc",
    "base",
    "core",
];

/// The rings, from the ground up; a module may use the rings below its own.
const RINGS: &[&[&str]] = &[
    &[
        "clock",
        "config",
        "contract",
        "data_folder",
        "db",
        "disk",
        "error",
        "id",
        "telemetry",
        "v1",
    ],
    &["sandbox", "llm", "tools", "engine"],
    // `app` is the bag of handles that every verb is given.
    &[
        "accounts",
        "api_keys",
        "limits",
        "ledger",
        "admin",
        "events",
        "agents",
        "projects",
        "threads",
        "uploads",
        "runs",
        "standing",
        "sweeper",
        "installation",
        "app",
    ],
    &["wire"],
    &["client", "worker", "server", "commands"],
];

/// Crates that stay out of some rings: the crate, the rings that may know it, and why the others may not.
const CRATES: &[(&str, &[usize], &str)] = &[
    ("tonic", &[3, 4], "a noun and the engine know no transport"),
    ("axum", &[3, 4], "a noun and the engine know no transport"),
    ("hyper", &[3, 4], "a noun and the engine know no transport"),
    ("http", &[3, 4], "a noun and the engine know no transport"),
    ("sea_orm", &[0, 2], "rows belong to the nouns"),
    ("jsonwebtoken", &[3], "tokens belong to the wire"),
];

/// What has one home: the text that gives it away, the homes, and why.
const HOMES: &[(&str, &[&str], &str)] = &[
    (
        "env::var",
        &["src/config/environment.rs"],
        "the environment is configuration",
    ),
    ("Utc::now", &["src/clock.rs"], "a test moves the clock"),
    (
        "SystemTime::now",
        &["src/sweeper.rs"],
        "a test moves the clock; the sweeper compares with the times of files",
    ),
    ("Uuid::now_v7", &["src/id.rs"], "ids are made in one way"),
    ("Uuid::new_v4", &[], "ids sort by time"),
    ("rand::", &["src/id.rs"], "randomness has one home"),
];

struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The module of the crate that the file belongs to.
    fn module(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        below.split(['/', '.']).next().unwrap()
    }

    fn ring(&self) -> Option<usize> {
        ring_of(self.module())
    }

    /// The code without comments, as far as looking for words needs it.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text.lines().map(|line| line.split("//").next().unwrap_or(line))
    }
}

fn ring_of(module: &str) -> Option<usize> {
    RINGS.iter().position(|ring| ring.contains(&module))
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}

fn everything() -> Vec<Source> {
    ["src", "tests", "migrations", "bench"]
        .into_iter()
        .flat_map(sources)
        .collect()
}

fn assert_none(what: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{what}:\n  {}", broken.join("\n  "));
}

#[test]
fn files_open_with_what_they_are() {
    let broken: Vec<_> = everything()
        .into_iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| source.path)
        .collect();
    assert_none("files that do not open with //!", &broken);
    let broken: Vec<_> = sources("src")
        .into_iter()
        .filter(|source| source.text.lines().count() < 4 && source.text.contains("To come"))
        .map(|source| source.path)
        .collect();
    assert_none("files without content", &broken);
}

#[test]
fn files_are_short_or_say_why_not() {
    let sources = everything();
    let mut broken = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("src/")) {
        let lines = source.text.lines().count();
        let limit = LONG
            .iter()
            .find(|(path, ..)| *path == source.path)
            .map_or(MAX_LINES, |(_, limit, _)| *limit);
        if lines > limit {
            broken.push(format!("{} has {lines} lines, at most {limit}", source.path));
        }
    }
    assert_none("files that are too long", &broken);
    for (path, _, reason) in LONG {
        assert!(!reason.is_empty());
        let lines = sources
            .iter()
            .find(|source| source.path == *path)
            .map(|source| source.text.lines().count());
        assert!(
            lines.is_some_and(|lines| lines > MAX_LINES),
            "{path} needs no exception any more ({lines:?} lines)"
        );
    }
}

#[test]
fn names_say_something() {
    let broken: Vec<_> = ["src", "migrations", "bench"]
        .into_iter()
        .flat_map(sources)
        .map(|source| source.path)
        .filter(|path| {
            Path::new(path).components().any(|part| {
                let name = Path::new(part.as_os_str()).file_stem().unwrap().to_str().unwrap();
                EMPTY_NAMES.contains(&name)
            })
        })
        .collect();
    assert_none("names that could be anything", &broken);
}

#[test]
fn a_ring_looks_only_down() {
    let mut broken = Vec::new();
    for source in sources("src") {
        let module = source.module();
        let Some(ring) = source.ring() else {
            assert!(
                ["lib", "main"].contains(&module),
                "{} belongs to no ring; add it to RINGS",
                source.path
            );
            continue;
        };
        for used in used_modules(&source.text) {
            let Some(other) = ring_of(&used) else { continue };
            let place = |name: &str| RINGS[ring].iter().position(|module| *module == name);
            let beside = other == ring && place(&used) > place(module) && ![0, 4].contains(&ring) && used != "app";
            if other > ring || beside {
                broken.push(format!("{} uses {used}", source.path));
            }
        }
    }
    assert_none("uses that look up", &broken);
}

#[test]
fn crates_stay_in_their_rings() {
    let mut broken = Vec::new();
    for source in sources("src") {
        let Some(ring) = source.ring() else { continue };
        for (name, rings, why) in CRATES {
            let word = format!("{name}::");
            let knows = source
                .code()
                .any(|line| line.match_indices(&word).any(|(at, _)| starts_a_path(line, at)));
            if knows && !rings.contains(&ring) {
                broken.push(format!("{} knows {name}: {why}", source.path));
            }
        }
    }
    assert_none("crates out of place", &broken);
}

#[test]
fn some_things_have_one_home() {
    let mut broken = Vec::new();
    for source in sources("src") {
        for (word, homes, why) in HOMES {
            let found = source
                .code()
                .any(|line| line.match_indices(word).any(|(at, _)| starts_a_path(line, at)));
            if found && !homes.contains(&source.path.as_str()) {
                broken.push(format!("{} has {word}: {why}", source.path));
            }
        }
    }
    assert_none("things away from home", &broken);
}

/// The rules must be able to fail: the parts they are made of find what they are for.
#[test]
fn the_rules_see_what_they_look_for() {
    let text = "use crate::{\n    error::{Code, Error},\n    runs::{self, table::{a, b}},\n    Result,\n};\nfn f() { crate::wire::json::x() }";
    let expected: BTreeSet<String> = ["error", "runs", "wire"].map(str::to_owned).into();
    assert_eq!(used_modules(text), expected);
    assert!(starts_a_path("let x = http::Uri::new();", 8));
    assert!(!starts_a_path("crate::wire::http::x", 13));
    assert!(!starts_a_path("tower_http::cors", 6));
    assert_eq!(ring_of("wire"), Some(3));
}

/// Whether the word at this place is the beginning of a path: `http::` in `http::Uri`, not in `wire::http::` or `tower_http::`.
fn starts_a_path(line: &str, at: usize) -> bool {
    !line[..at].ends_with(|letter: char| letter == ':' || letter == '_' || letter.is_alphanumeric())
}

/// The modules of the crate that a file names, in `crate::x` and `use crate::{x, y::z}`.
fn used_modules(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, start) in text.match_indices("crate::") {
        let rest = &text[at + start.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0_usize;
            let mut name = String::new();
            for letter in group.chars() {
                match letter {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => found.extend(module_name(&std::mem::take(&mut name))),
                    _ if depth == 0 => name.push(letter),
                    _ => {}
                }
            }
            found.extend(module_name(&name));
        } else {
            found.extend(module_name(rest));
        }
    }
    found
}

/// The first name of a path, unless it is a type's.
fn module_name(path: &str) -> Option<String> {
    let name: String = path
        .trim_start()
        .chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect();
    name.starts_with(|letter: char| letter.is_lowercase()).then_some(name)
}
