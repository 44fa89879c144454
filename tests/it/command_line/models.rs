//! Tests of `runyard models` and `runyard models test`.

use std::{path::Path, process::Output};

use runyard_upstream::{Call, Script, Turn, Upstream};
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
    let tested = runyard(folder.path(), &["models", "test", "runyard/demo", "--json"], &[]);
    assert_eq!(
        tested.status.code(),
        Some(0),
        "the demo model needs no test: {tested:?}"
    );
    let checks = lines(&tested);
    let (verdict, message) = check(&checks, "provider");
    assert_eq!((verdict, checks.len()), ("warn", 1));
    assert!(message.contains("there is nothing to test"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_working_model_passes_the_test() {
    let server = Upstream::start([
        Turn::words(20).usage(30, 20),
        Turn::calls([Call::new("lookup", &json!({"key": "colour"}))]),
        Turn::text("The value is Teal."),
        Turn::text("Red."),
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
        "image",
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

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_shown_to_a_model_that_is_said_to_see() {
    let refusal = || Turn::status(400).body("{\"error\": {\"message\": \"this model does not support image input\"}}");
    // The first model is known to see images, and the second is known not to.
    for (name, turn, verdict) in [
        ("kortix/basic", Turn::text("Red."), Some(("ok", "names the colour"))),
        ("kortix/basic", Turn::text("A cat."), Some(("warn", "\"A cat.\""))),
        ("kortix/basic", refusal(), Some(("bad", "refuses images"))),
        ("kortix/minimax", Turn::text("Red."), None),
    ] {
        let server = Upstream::start([
            Turn::words(20),
            Turn::calls([Call::new("lookup", &json!({"key": "colour"}))]),
            Turn::text("The value is teal."),
            turn,
            Turn::text("I see no image."),
        ])
        .await;
        let folder = tempfile::tempdir().unwrap();
        let checks = lines(&tested(folder.path(), &server.base_url(), &[name, "--json"]));
        if let Some((verdict, message)) = verdict {
            let found = check(&checks, "image");
            assert!(found.0 == verdict && found.1.contains(message), "{checks:?}");
            assert!(server.requests()[3].body.to_string().contains("data:image/png;base64,"));
        } else {
            assert!(checks.iter().all(|check| check["name"] != "image"), "{checks:?}");
            assert_eq!(server.requests().len(), 3);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_calls_the_models_if_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let server = Upstream::start(Script::function(|_| Turn::text("Red."))).await;
    let base_url = server.base_url();
    let variables = [("RUNYARD_OPENAI_BASE_URL", base_url.as_str())];
    let arguments = ["doctor", "--json"];
    let checks = lines(&runyard(folder.path(), &arguments, &variables));
    assert!(checks.iter().all(|check| check["name"] != "models"), "{checks:?}");
    assert_eq!(server.requests().len(), 0);
    let checks = lines(&runyard(
        folder.path(),
        &[&arguments[..], &["--models"]].concat(),
        &variables,
    ));
    for expected in ["kortix/basic: answers, and sees images", "kortix/minimax: answers"] {
        let is_expected = |check: &&Value| check["name"] == "models" && check["message"] == expected;
        let found = checks.iter().find(is_expected);
        assert!(found.is_some_and(|check| check["verdict"] == "ok"), "{checks:?}");
    }
}
