//! Tests of the log of the real program at its default level. The log contains no user content. Lines about new runs
//! and refusals contain the request id.

use futures::future::join_all;
use runyard_upstream::{Turn, Upstream};
use serde_json::{Value, json};

use super::program::{OPEN, Program};

fn has(line: &Value, message: &str) -> bool {
    line["message"] == message
}

async fn ended(program: &Program, run: &Value) -> Value {
    let run_id = run["agent_run_id"].clone();
    program
        .line("the end of a run", |line| {
            has(line, "run ended") && line["run_id"] == run_id
        })
        .await
}

#[tokio::test]
async fn a_run_logs_its_start_and_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), OPEN).await;
    let body = json!({"prompt": "CANARY-PROMPT", "mode": "chat"});
    let answer = program
        .request("POST", "/agent/start")
        .json(&body)
        .send()
        .await
        .unwrap();
    let request_id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let run: Value = answer.json().await.unwrap();
    let end = ended(&program, &run).await;
    let started = program
        .line("the start", |line| {
            has(line, "run started") && line["span"]["request_id"] == request_id.as_str()
        })
        .await;
    for line in [&started, &end] {
        assert_eq!(line["level"], "INFO", "{line}");
        assert_eq!(line["run_id"], run["agent_run_id"], "{line}");
        assert_eq!(line["thread_id"], run["thread_id"], "{line}");
        assert_eq!(line["model"], "runyard/demo", "{line}");
    }
    assert_eq!(started["account_id"], end["account_id"]);
    assert_eq!(
        (&end["status"], &end["steps"]),
        (&json!("completed"), &json!(1)),
        "{end}"
    );
    for number in ["duration_ms", "queued_ms", "input_tokens", "output_tokens"] {
        assert!(end[number].is_i64() || end[number].is_u64(), "{number}: {end}");
    }
    assert!(!program.log().contains("CANARY"));
}

#[tokio::test]
async fn a_provider_failure_is_logged_as_a_warning() {
    let upstream = Upstream::start(Turn::status(401).body("CANARY-ANSWER")).await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[providers.default]\nkind = \"openai\"\nbase_url = \"{}\"\napi_key = \"sk-test\"\nmodel = \"scripted\"\n{}",
        upstream.base_url(),
        OPEN.replace("runyard/demo", "kortix/minimax")
    );
    let program = Program::start(folder.path(), &config).await;
    let body = json!({"prompt": "CANARY-PROMPT", "mode": "chat"});
    let answer = program
        .request("POST", "/agent/start")
        .json(&body)
        .send()
        .await
        .unwrap();
    let end = ended(&program, &answer.json().await.unwrap()).await;
    assert_eq!(end["level"], "WARN", "{end}");
    assert_eq!(end["status"], "failed", "{end}");
    assert_eq!(end["error_code"], "MODEL_CREDENTIALS_REFUSED", "{end}");
    assert!(!program.log().contains("CANARY"), "{}", program.log());
}

#[tokio::test]
async fn a_refused_request_is_logged_with_its_request_id() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), OPEN).await;
    let refused = [
        (
            "GET",
            "/threads/00000000-0000-7000-8000-000000000000",
            404,
            "THREAD_NOT_FOUND",
        ),
        ("GET", "/threads?page_size=-1", 400, "INVALID_REQUEST"),
        ("GET", "/no/such/path", 404, "NO_SUCH_PATH"),
    ];
    for (method, path, status, code) in refused {
        let answer = program.request(method, path).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let request_id = answer.headers()["x-request-id"].to_str().unwrap();
        let line = program
            .line(path, |line| line["span"]["request_id"] == request_id)
            .await;
        assert_eq!(
            (&line["http_status"], &line["error_code"]),
            (&json!(status), &json!(code)),
            "{line}"
        );
        assert_eq!(line["path"], path.split('?').next().unwrap(), "{line}");
        assert!(line["span"]["account_id"].is_string(), "{line}");
    }
    let answer = program
        .http
        .get(format!("{}/agents", program.url))
        .send()
        .await
        .unwrap();
    let request_id = answer.headers()["x-request-id"].to_str().unwrap();
    let line = program
        .line("the request without a token", |line| {
            line["span"]["request_id"] == request_id
        })
        .await;
    assert_eq!(line["error_code"], "NOT_AUTHENTICATED", "{line}");

    // Successful requests are logged only at debug level.
    let answer = program.request("GET", "/threads").send().await.unwrap();
    let request_id = answer.headers()["x-request-id"].to_str().unwrap();
    assert!(program.log().contains(request_id));
    assert!(!program.lines().iter().any(|line| line.to_string().contains(request_id)));
}

#[tokio::test]
async fn requests_without_a_token_do_not_flood_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), OPEN).await;
    // The requests are sent at once, because the number of logged refusals is limited per second.
    let requests = (0..300).map(|_| program.http.get(format!("{}/agents", program.url)).send());
    for answer in join_all(requests).await {
        assert_eq!(answer.unwrap().status(), 401);
    }
    let refused = |lines: &[Value]| {
        lines
            .iter()
            .filter(|line| line["error_code"] == "NOT_AUTHENTICATED")
            .count()
    };
    assert!(refused(&program.lines()) < 300, "not every refusal should be logged");
    // The next logged refusal also reports the number of refusals that were not logged.
    let counted = async {
        loop {
            let answer = program.http.get(format!("{}/agents", program.url)).send().await;
            assert_eq!(answer.unwrap().status(), 401);
            let lines = program.lines();
            if lines
                .iter()
                .any(|line| line["unlogged"].as_u64().is_some_and(|unlogged| unlogged > 0))
            {
                return;
            }
        }
    };
    tokio::time::timeout(crate::test_server::TEST_TIMEOUT, counted)
        .await
        .unwrap();
}

#[tokio::test]
async fn missing_prerequisites_are_logged_before_listening() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!("[sandbox]\nbwrap = \"/nowhere/bwrap\"\n{OPEN}");
    let program = Program::start(folder.path(), &config).await;
    let lines = program.lines();
    let place = |what: &str| {
        let place = lines
            .iter()
            .position(|line| line["message"].as_str().unwrap().contains(what));
        place.unwrap_or_else(|| panic!("the log has no line about {what}: {}", program.log()))
    };
    let listening = place("runyard is listening");
    for what in [
        "commands cannot be run: /nowhere/bwrap was not found",
        "no model provider is configured",
    ] {
        assert!(place(what) < listening, "{what}: {}", program.log());
        assert_eq!(lines[place(what)]["level"], "WARN", "{what}");
    }
    let upstream = Upstream::start(Turn::text("Aye.")).await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[providers.default]\nkind = \"openai\"\nbase_url = \"{}\"\nmodel = \"scripted\"\n{OPEN}",
        upstream.base_url()
    );
    let program = Program::start(folder.path(), &config).await;
    let warnings: Vec<_> = program
        .lines()
        .into_iter()
        .filter(|line| line["level"] != "INFO")
        .collect();
    assert!(warnings.is_empty(), "{warnings:?}");
}
