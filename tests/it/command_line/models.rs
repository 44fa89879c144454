//! Tests of `runyard models` and `runyard models test`.

use std::{path::Path, process::Output};

use runyard_upstream::{Call, Turn, Upstream};
use serde_json::{Value, json};

use super::{complaint, runyard, stdout};

fn lines(output: &Output) -> Vec<Value> {
    let lines = stdout(output);
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Runs `runyard models test`. `base_url` is the URL of the default provider.
fn tested(folder: &Path, base_url: &str, arguments: &[&str]) -> Output {
    let arguments = [&["models", "test"][..], arguments].concat();
    runyard(folder, &arguments, &[("RUNYARD_OPENAI_BASE_URL", base_url)])
}

fn check<'a>(checks: &'a [Value], name: &str) -> (&'a str, &'a str) {
    let check = checks.iter().find(|check| check["name"] == name);
    let check = check.unwrap_or_else(|| panic!("no check {name} in {checks:?}"));
    (check["verdict"].as_str().unwrap(), check["message"].as_str().unwrap())
}

#[test]
fn the_list_shows_the_models_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let listed = runyard(folder.path(), &["models", "list"], &[]);
    assert_eq!(listed.status.code(), Some(0));
    let text = stdout(&listed);
    assert!(
        text.starts_with("kortix/minimax ") && text.contains("200000 tokens"),
        "{text}"
    );
    let variables = [
        ("RUNYARD_OPENAI_BASE_URL", "http://127.0.0.1:9/v1/"),
        ("RUNYARD_OPENAI_MODEL", "qwen3"),
    ];
    let listed = lines(&runyard(folder.path(), &["models", "list", "--json"], &variables));
    let basic = listed.iter().find(|model| model["name"] == "kortix/basic").unwrap();
    assert_eq!(
        (&basic["provider"], &basic["upstream"], &basic["cached_input_price"]),
        (&json!("default"), &json!("qwen3"), &json!(1.0))
    );
    let demo = listed.iter().find(|model| model["name"] == "runyard/demo").unwrap();
    assert_eq!(demo["provider"], "demo");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_working_model_passes_the_test() {
    let server = Upstream::start([
        Turn::words(20).usage(30, 20),
        Turn::calls([Call::new("lookup", &json!({"key": "colour"}))]),
        Turn::text("The value is Teal."),
    ])
    .await;
    let folder = tempfile::tempdir().unwrap();
    let output = tested(folder.path(), &server.base_url(), &["kortix/basic", "--json"]);
    let checks = lines(&output);
    assert_eq!(output.status.code(), Some(0), "{checks:?}");
    for name in [
        "provider",
        "answer",
        "streaming",
        "time",
        "usage",
        "tool call",
        "tool result",
    ] {
        assert_eq!(check(&checks, name).0, "ok", "{name}: {checks:?}");
    }
    assert!(check(&checks, "usage").1.contains("30 prompt tokens"), "{checks:?}");
    assert!(!folder.path().join("data").exists(), "the test needs no data folder");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_calls_no_tools_fails_the_test() {
    let server = Upstream::start([Turn::words(20), Turn::text("I cannot do that.")]).await;
    let folder = tempfile::tempdir().unwrap();
    let output = tested(folder.path(), &server.base_url(), &["kortix/basic"]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("bad   tool call: the model answered in text"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_provider_is_reported_with_its_cause() {
    let server = Upstream::start([Turn::status(401).body("{\"error\": {\"message\": \"no such key\"}}")]).await;
    let folder = tempfile::tempdir().unwrap();
    let output = tested(folder.path(), &server.base_url(), &["kortix/basic", "--json"]);
    let checks = lines(&output);
    assert_eq!(output.status.code(), Some(1));
    let (verdict, message) = check(&checks, "answer");
    assert!(
        verdict == "bad" && message.contains("API key") && message.contains("no such key"),
        "{checks:?}"
    );
    assert_eq!(checks.len(), 2, "{checks:?}");
}

#[test]
fn the_test_says_when_the_built_in_model_answers_and_refuses_unknown_names() {
    let folder = tempfile::tempdir().unwrap();
    let output = runyard(folder.path(), &["models", "test", "kortix/basic", "--json"], &[]);
    let checks = lines(&output);
    assert_eq!(check(&checks, "provider").0, "warn");
    let message = complaint(&runyard(folder.path(), &["models", "test", "no/model"], &[]), 1);
    assert!(message.contains("runyard models list"), "{message}");
}
