//! Tests of the log of the real program: its fields, its levels and the access log.

use std::{collections::BTreeMap, fs, path::Path};

use regex::Regex;
use runyard_upstream::{Turn, Upstream};
use serde_json::{Value, json};

use super::program::{OPEN, Program};

/// Reads the table of fields in docs/logs.md: the name and the type of each field.
fn documented() -> BTreeMap<String, String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/logs.md")).unwrap();
    let row = Regex::new(r"(?m)^\| `([a-z_]+)` \| (text|number|object) \|").unwrap();
    let rows = row.captures_iter(&page);
    let fields: BTreeMap<_, _> = rows.map(|row| (row[1].to_owned(), row[2].to_owned())).collect();
    assert!(fields.len() > 30, "{fields:?}");
    fields
}

fn check(line: &Value, fields: &BTreeMap<String, String>) {
    let span = line["span"].as_object().into_iter().flatten();
    for (name, value) in line.as_object().unwrap().iter().chain(span) {
        let found = match value {
            Value::String(_) => "text",
            Value::Number(_) => "number",
            Value::Object(_) => "object",
            _ => "another type",
        };
        assert_eq!(fields.get(name).map(String::as_str), Some(found), "{name}: {line}");
    }
}

fn lines(program: &Program) -> Vec<Value> {
    program
        .log()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Returns true for the targets of libraries.
fn is_foreign(line: &Value) -> bool {
    !line["target"].as_str().unwrap().starts_with("runyard")
}

async fn post(program: &Program, path: &str, body: Value) -> reqwest::Response {
    program.request("POST", path).json(&body).send().await.unwrap()
}

async fn run(program: &Program) -> Value {
    let body = json!({"prompt": "Go.", "mode": "chat"});
    let run: Value = post(program, "/agent/start", body).await.json().await.unwrap();
    program
        .line("the end of a run", |line| {
            line["message"] == "run ended" && line["run_id"] == run["agent_run_id"]
        })
        .await
}

#[tokio::test]
async fn every_field_is_documented_and_has_one_type() {
    let upstream = Upstream::start([Turn::text("Done."), Turn::status(401)]).await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "webhooks.allow_private_addresses = true\n[providers.default]\nkind = \"openai\"\nbase_url = \"{}\"\napi_key = \"sk-test\"\n\
         model = \"scripted\"\n{}",
        upstream.base_url(),
        OPEN.replace("runyard/demo", "kortix/minimax")
    );
    let program = Program::start_in(folder.path(), &config, "exec \"$@\" --log debug").await;
    let made = post(&program, "/agents", json!({"name": "Fields"})).await;
    let agent: Value = made.json().await.unwrap();
    let body = json!({"prompt": "Go.", "mode": "chat", "agent_id": agent["agent_id"]});
    let started: Value = post(&program, "/agent/start", body).await.json().await.unwrap();
    let end = program
        .line("the end of a run", |line| {
            line["message"] == "run ended" && line["run_id"] == started["agent_run_id"]
        })
        .await;
    assert_eq!(end["agent_id"], agent["agent_id"], "{end}");
    let failed = run(&program).await;
    assert_eq!(failed["error_code"], "MODEL_CREDENTIALS_REFUSED", "{failed}");
    let missing = "/threads/00000000-0000-7000-8000-000000000000";
    assert_eq!(program.request("GET", missing).send().await.unwrap().status(), 404);
    let refused = program.line("a refused request", |line| line["path"] == missing).await;
    assert_eq!(refused["http_status"], 404, "{refused}");

    let (fields, lines) = (documented(), lines(&program));
    for line in &lines {
        check(line, &fields);
    }
    let at = |level: &str| lines.iter().filter(|line| line["level"] == level).count();
    assert!(at("DEBUG") > 0 && at("INFO") > 5 && at("WARN") > 0, "{}", program.log());
    for name in [
        "run_id",
        "account_id",
        "thread_id",
        "agent_id",
        "duration_ms",
        "error_code",
        "error",
    ] {
        assert!(lines.iter().any(|line| !line[name].is_null()), "no line has {name}");
    }
}

#[tokio::test]
async fn libraries_are_quiet_at_info_and_bounded_at_debug() {
    for (filter, most) in [
        ("info", ["WARN", "ERROR"].as_slice()),
        ("debug", &["INFO", "WARN", "ERROR"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let line = format!("RUNYARD_LOG={filter} exec \"$@\"");
        let program = Program::start_in(folder.path(), OPEN, &line).await;
        run(&program).await;
        let lines = lines(&program);
        let ours = lines
            .iter()
            .any(|line| !is_foreign(line) && line["level"] == filter.to_uppercase().as_str());
        assert!(ours, "control: the program logs at {filter}");
        let loud = lines
            .iter()
            .find(|line| is_foreign(line) && !most.contains(&line["level"].as_str().unwrap()));
        assert_eq!(loud, None, "at {filter}");
    }
    // A filter can name a library.
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start_in(
        folder.path(),
        OPEN,
        "RUNYARD_LOG=info,sea_orm_migration=info exec \"$@\"",
    )
    .await;
    run(&program).await;
    assert!(lines(&program).iter().any(is_foreign), "{}", program.log());
}

#[tokio::test]
async fn the_configuration_selects_the_requests_in_the_log() {
    let missing = "/threads/00000000-0000-7000-8000-000000000000";
    for (setting, answered, refused) in [("all", true, true), ("refused", false, true), ("off", false, false)] {
        let folder = tempfile::tempdir().unwrap();
        let config = format!("[log]\naccess = \"{setting}\"\n{OPEN}");
        let program = Program::start(folder.path(), &config).await;
        assert_eq!(program.request("GET", missing).send().await.unwrap().status(), 404);
        assert_eq!(program.request("GET", "/threads").send().await.unwrap().status(), 200);
        // Each request is logged before it is answered, so the log is complete after the end of a run.
        run(&program).await;
        let lines = program.lines();
        let has = |message: &str, path: &str| {
            let mut found = lines
                .iter()
                .filter(|line| line["message"] == message && line["path"] == path);
            found
                .next()
                .is_some_and(|line| line["duration_ms"].is_number() && line["span"]["account_id"].is_string())
        };
        assert_eq!(
            has("request answered", "/threads"),
            answered,
            "{setting}: {}",
            program.log()
        );
        assert_eq!(has("request refused", missing), refused, "{setting}: {}", program.log());
    }
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start_in(folder.path(), OPEN, "RUNYARD_ACCESS_LOG=all exec \"$@\"").await;
    assert_eq!(program.request("GET", "/threads").send().await.unwrap().status(), 200);
    program.line("the request", |line| line["path"] == "/threads").await;
}

#[test]
fn ids_have_the_same_name_in_every_line() {
    let short = Regex::new(
        r"\b(run|account|thread|agent|project|upload|webhook|schedule|trigger|version|actor|why|fault|reason) = [%?]|(warn|info|error|debug)!\((why|fault|reason|message)\b",
    );
    let short = short.unwrap();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut checked = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            let wrong = short.find(&text).map(|found| found.as_str().to_owned());
            assert_eq!(wrong, None, "{}: use the names of docs/logs.md", path.display());
            checked += 1;
        }
    }
    assert!(checked > 200);
    assert!(short.is_match("warn!(run = %run.id, \"x\")"), "control");
}
