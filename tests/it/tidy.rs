//! Checks the rules for source code: where code belongs, how long files are, and which modules a module may use.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use regex::Regex;

const MAX_LINES: usize = 400;

/// Files that may exceed [`MAX_LINES`]. Each entry is the path, the maximum number of lines, and the reason.
const LONG: &[(&str, usize, &str)] = &[];

/// File names that do not describe the content.
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

/// The module layers from the lowest, layer 0, to the highest. The modules of layer 1, such as `runs`, are called
/// nouns.
///
/// A module may use every module of a lower layer. In layers 0 and 3, it may also use all modules of its own layer. In
/// layers 1 and 2, it may use only `app` and the modules listed before it.
const LAYERS: &[&[&str]] = &[
    &[
        "addresses",
        "blocking",
        "clock",
        "config",
        "data_folder",
        "db",
        "disk",
        "egress",
        "error",
        "id",
        "random_token",
        "secret_file",
        "secrets",
        "signatures",
        "telemetry",
        "v1",
    ],
    // `app` contains the handles that every operation of a noun receives.
    &[
        "accounts",
        "api_keys",
        "limits",
        "ledger",
        "model_calls",
        "admin",
        "events",
        "skills",
        "account_secrets",
        "agents",
        "mcp",
        "web",
        "projects",
        "threads",
        "uploads",
        "runs",
        "memories",
        "webhooks",
        "schedules",
        "triggers",
        "shares",
        "account_state",
        "installation",
        "app",
    ],
    &["wire"],
    &["background", "server", "commands"],
];

/// Crates that only certain layers may use. Each entry is the crate, the permitted layers, and the reason.
const CRATES: &[(&str, &[usize], &str)] = &[
    ("tonic", &[2, 3], "nouns do not depend on a transport"),
    ("axum", &[2, 3], "nouns do not depend on a transport"),
    ("hyper", &[2, 3], "nouns do not depend on a transport"),
    ("http", &[2, 3], "nouns do not depend on a transport"),
    ("runyard_transcode", &[2, 3], "nouns do not depend on a transport"),
    ("sea_orm", &[0, 1], "only nouns access the database"),
    ("sqlx", &[0], "only the database layer knows the driver"),
    (
        "aws_lc_rs",
        &[0, 2],
        "tokens are handled by the wire, and stored secrets by `secrets`",
    ),
];

/// Code that only certain files may contain. Each entry is the text of the code, the files, and the reason.
const HOMES: &[(&str, &[&str], &str)] = &[
    (
        "env::var",
        &[
            "src/config/environment.rs",
            "crates/sandbox/src/host.rs",
            "crates/mcp/examples/conformance.rs",
        ],
        "the environment is configuration; the sandbox looks for programs in PATH; the conformance suite sets variables",
    ),
    (
        "Utc::now",
        &["src/clock.rs", "crates/engine/src/clock.rs"],
        "a test moves the clock; the engine compares with dates of providers",
    ),
    (
        "SystemTime::now",
        &["src/background/sweeper.rs", "crates/sandbox/src/settings_folder.rs"],
        "a test moves the clock; the sweeper and the sandbox use the times of files",
    ),
    (
        "Uuid::now_v7",
        &["src/id.rs", "crates/client/src/lib.rs", "crates/engine/src/id.rs"],
        "ids are created in one place",
    ),
    ("Uuid::new_v4", &[], "ids sort by time"),
    (
        "rand::",
        &[
            "src/id.rs",
            "crates/client/src/lib.rs",
            "crates/engine/src/id.rs",
            "crates/sandbox/src/tree.rs",
            "crates/sandbox/src/workspace.rs",
        ],
        "random numbers are generated in one place; crates need their own",
    ),
];

/// Files whose SQL uses tables of another module. Each entry is the file, the tables, and the reason.
const JOINS: &[(&str, &[&str], &str)] = &[
    (
        "src/runs/start/account.rs",
        &["accounts", "agents", "agent_versions"],
        "a start reads its account and the default agent in one statement",
    ),
    (
        "src/runs/claim.rs",
        &["run_events", "uploads"],
        "a claim returns all data that the worker needs to begin in one statement",
    ),
    (
        "src/agents/delete.rs",
        &["runs", "memories"],
        "an agent stays while an unfinished run needs it, its memories do not, and agents may use neither noun",
    ),
    (
        "src/uploads/room.rs",
        &["runs"],
        "the index of unfinished runs finds the uploads, and uploads may not use runs",
    ),
    (
        "src/installation/table.rs",
        &["sandboxes"],
        "one locked statement compares the data folders and checks whether a workspace exists",
    ),
    (
        "src/db/health.rs",
        &["installation"],
        "the probe writes a row that always exists",
    ),
];

/// The library crates. Each entry is the crate, the other crates of this repository that it may use, and crates that
/// it must not use.
const LIBRARIES: &[(&str, &[&str], &[&str])] = &[
    ("contract", &[], &["tokio", "tonic", "hyper", "axum", "sea-orm"]),
    ("client", &["runyard-contract"], &["axum", "sea-orm"]),
    ("documents", &[], &["tokio", "tonic", "hyper", "axum", "sea-orm"]),
    (
        "engine",
        &[
            "runyard-contract",
            "runyard-documents",
            "runyard-http-client",
            "runyard-sandbox",
        ],
        &["tonic", "hyper", "axum", "sea-orm"],
    ),
    ("http-client", &[], &["tokio", "tonic", "hyper", "axum", "sea-orm"]),
    ("mcp", &["runyard-http-client"], &["tonic", "hyper", "axum", "sea-orm"]),
    ("sandbox", &[], &["tonic", "hyper", "axum", "sea-orm"]),
    ("transcode", &[], &["hyper", "axum", "sea-orm"]),
];

struct Source {
    path: String,
    text: String,
}

impl Source {
    fn module(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        below.split(['/', '.']).next().unwrap()
    }

    fn layer(&self) -> Option<usize> {
        layer_of(self.module())
    }

    /// Returns the lines without `//` comments. A `//` in a string also cuts off the rest of its line, which does not
    /// matter for a text search.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text.lines().map(|line| line.split("//").next().unwrap_or(line))
    }
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
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
    ["src", "crates", "tests", "migrations", "bench"]
        .into_iter()
        .flat_map(sources)
        .collect()
}

fn assert_none(what: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{what}:\n  {}", broken.join("\n  "));
}

#[test]
fn every_file_starts_with_a_module_comment() {
    let broken: Vec<_> = everything()
        .into_iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| source.path)
        .collect();
    assert_none("files that do not start with `//! `", &broken);
    let broken: Vec<_> = sources("src")
        .into_iter()
        .filter(|source| source.text.lines().count() < 4 && source.text.contains("To come"))
        .map(|source| source.path)
        .collect();
    assert_none("files without content", &broken);
}

#[test]
fn files_are_short_or_listed_with_a_reason() {
    let sources = everything();
    let mut broken = Vec::new();
    let is_checked = |path: &str| path.starts_with("src/") || path.starts_with("crates/");
    for source in sources.iter().filter(|source| is_checked(&source.path)) {
        let lines = source.text.lines().count();
        let limit = LONG
            .iter()
            .find(|(path, ..)| *path == source.path)
            .map_or(MAX_LINES, |(_, limit, _)| *limit);
        if lines > limit {
            broken.push(format!("{} has {lines} lines; the maximum is {limit}", source.path));
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
            "{path} no longer needs an exception in LONG ({lines:?} lines)"
        );
    }
}

#[test]
fn file_names_describe_their_content() {
    let broken: Vec<_> = ["src", "crates", "migrations", "bench"]
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
    assert_none("file names that do not describe the content", &broken);
}

#[test]
fn modules_use_only_lower_layers() {
    let mut broken = Vec::new();
    for source in sources("src") {
        let module = source.module();
        let Some(layer) = source.layer() else {
            assert!(
                ["lib", "main"].contains(&module),
                "{} belongs to no layer; add it to LAYERS",
                source.path
            );
            continue;
        };
        for used in used_modules(&source.text) {
            let Some(other) = layer_of(&used) else { continue };
            let place = |name: &str| LAYERS[layer].iter().position(|module| *module == name);
            let beside = other == layer && place(&used) > place(module) && ![0, 3].contains(&layer) && used != "app";
            if other > layer || beside {
                broken.push(format!("{} uses {used}", source.path));
            }
        }
    }
    assert_none(
        "modules that use a higher layer or a later module of their layer",
        &broken,
    );
}

#[test]
fn library_crates_know_nothing_of_the_server() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    let mut found: Vec<_> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    found.sort();
    let mut listed: Vec<_> = LIBRARIES.iter().map(|(name, ..)| *name).collect();
    listed.sort_unstable();
    assert_eq!(found, listed, "LIBRARIES lists every crate in crates/");
    let mut broken = Vec::new();
    for (name, allowed, forbidden) in LIBRARIES {
        let manifest: toml::Table = fs::read_to_string(root.join(name).join("Cargo.toml"))
            .unwrap()
            .parse()
            .unwrap();
        for used in manifest["dependencies"].as_table().unwrap().keys() {
            let is_foreign = used.starts_with("runyard") && !allowed.contains(&used.as_str());
            if is_foreign || forbidden.contains(&used.as_str()) {
                broken.push(format!("crates/{name} depends on {used}"));
            }
        }
    }
    assert_none("dependencies that a library crate must not have", &broken);
}

#[test]
fn crates_are_used_only_in_their_layers() {
    let mut broken = Vec::new();
    for source in sources("src") {
        let Some(layer) = source.layer() else { continue };
        for (name, layers, why) in CRATES {
            let word = format!("{name}::");
            let is_used = source
                .code()
                .any(|line| line.match_indices(&word).any(|(at, _)| starts_a_path(line, at)));
            if is_used && !layers.contains(&layer) {
                broken.push(format!("{} uses {name}: {why}", source.path));
            }
        }
    }
    assert_none("crates used outside their layers", &broken);
}

/// A noun, such as `runs`, exports its row types but not its `table` modules. Queries need these modules, so the
/// compiler refuses a query for the rows of another noun.
#[test]
fn modules_with_tables_are_private() {
    let mut broken = Vec::new();
    for source in sources("src") {
        if !source.text.contains("DeriveEntityModel") {
            continue;
        }
        let (folder, file) = source.path.rsplit_once('/').unwrap();
        let declaration = format!("mod {};", file.strip_suffix(".rs").unwrap());
        let parent = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{folder}.rs"))).unwrap();
        if !parent.lines().any(|line| line == declaration) {
            broken.push(format!("{folder}.rs does not contain the line `{declaration}`"));
        }
    }
    assert_none("modules with tables that are not private", &broken);
}

#[test]
fn sql_names_only_tables_of_its_own_noun() {
    let sources = sources("src");
    let tables = owners(&sources);
    assert!(tables.contains_key("runs") && tables.contains_key("run_events"));
    let mut used = BTreeSet::new();
    let mut broken = Vec::new();
    for source in &sources {
        let code: Vec<&str> = source.code().collect();
        for table in named_tables(&code.join("\n")) {
            let Some(owner) = tables.get(&table) else { continue };
            if owner == source.module() {
                continue;
            }
            let is_listed = JOINS
                .iter()
                .any(|(path, listed, _)| *path == source.path && listed.contains(&table.as_str()));
            if is_listed {
                used.insert((source.path.clone(), table));
            } else {
                broken.push(format!("{} names the table {table} of {owner}", source.path));
            }
        }
    }
    assert_none("SQL that names a table of another noun", &broken);
    for (path, listed, _) in JOINS {
        for table in *listed {
            let is_used = used.contains(&((*path).to_owned(), (*table).to_owned()));
            assert!(is_used, "{path} no longer names {table}; remove it from JOINS");
        }
    }
}

fn owners(sources: &[Source]) -> BTreeMap<String, String> {
    let mut owners: BTreeMap<String, String> = [("installation".to_owned(), "installation".to_owned())].into();
    for source in sources {
        for (at, start) in source.text.match_indices("table_name = \"") {
            let name = source.text[at + start.len()..].split('"').next().unwrap();
            owners.insert(name.to_owned(), source.module().to_owned());
        }
    }
    owners
}

fn named_tables(code: &str) -> BTreeSet<String> {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"\b(?:FROM|JOIN|INTO|UPDATE)[\s\\]+([a-z_]+)|(?:from|join|into_table|table|col)\(\(?"([a-z_]+)""#)
            .unwrap()
    });
    let names = NAMED.captures_iter(code);
    names
        .filter_map(|found| found.get(1).or(found.get(2)))
        .map(|name| name.as_str().to_owned())
        .collect()
}

#[test]
fn restricted_code_stays_in_its_files() {
    let mut broken = Vec::new();
    let is_built = |source: &Source| !source.path.ends_with("build.rs");
    for source in ["src", "crates"].into_iter().flat_map(sources).filter(is_built) {
        for (word, homes, why) in HOMES {
            let found = source
                .code()
                .any(|line| line.match_indices(word).any(|(at, _)| starts_a_word(line, at)));
            if found && !homes.contains(&source.path.as_str()) {
                broken.push(format!("{} contains {word}: {why}", source.path));
            }
        }
    }
    assert_none("code outside its allowed files", &broken);
}

/// Control: the search functions find their targets in sample code, so the tests above can detect violations.
#[test]
fn the_search_functions_find_what_they_look_for() {
    let text = "use crate::{\n    error::{Code, Error},\n    runs::{self, table::{a, b}},\n    Result,\n};\nfn f() { crate::wire::json::x() }";
    let expected: BTreeSet<String> = ["error", "runs", "wire"].map(str::to_owned).into();
    assert_eq!(used_modules(text), expected);
    assert!(starts_a_path("let x = http::Uri::new();", 8));
    assert!(!starts_a_path("crate::wire::http::x", 13));
    assert!(!starts_a_path("tower_http::cors", 6));
    assert!(starts_a_word("let x = std::env::var(name);", 13));
    assert!(!starts_a_word("operand::x", 3));
    assert_eq!(layer_of("wire"), Some(2));
    let sql =
        "SELECT 1 FROM \\\n  runs r JOIN uploads u; q.from(\"agents\"); Expr::col((\"threads\", x)); from the list";
    let expected: BTreeSet<String> = ["agents", "runs", "threads", "uploads"].map(str::to_owned).into();
    assert_eq!(named_tables(sql), expected);
}

/// Returns true if a path starts at this position: `http::` starts a path in `http::Uri`, but not in `wire::http::`.
fn starts_a_path(line: &str, at: usize) -> bool {
    !line[..at].ends_with(|letter: char| letter == ':' || letter == '_' || letter.is_alphanumeric())
}

/// Returns true if a word starts at this position. A path may precede the word: `env::var` occurs in `std::env::var`.
fn starts_a_word(line: &str, at: usize) -> bool {
    !line[..at].ends_with(|letter: char| letter == '_' || letter.is_alphanumeric())
}

/// Returns the modules of the crate that a file uses, as in `crate::x` and `use crate::{x, y::z}`.
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

/// Returns the first segment of a path; `None` if this segment is a type.
fn module_name(path: &str) -> Option<String> {
    let name: String = path
        .trim_start()
        .chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect();
    name.starts_with(|letter: char| letter.is_lowercase()).then_some(name)
}
