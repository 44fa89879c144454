//! Tests of SIGKILL at each event of a run whose final answer is repaired twice, with the real program.

use std::time::Duration;

use runyard_upstream::Upstream;
use serde_json::{Value, json};

use super::{
    program::{OPEN, Program},
    requests::text,
    structured_answers::{INVALID, VALID, lines, schema},
};
use crate::test_server::{TEST_TIMEOUT, assert_no_gaps, kinds, parse_sse};

/// Follows a run until the stream shows the event with this sequence number. Returns false if the run ended before.
async fn reach(program: &Program, path: &str, sequence: i64) -> bool {
    let mut stream = program.request("GET", &format!("{path}/stream")).send().await.unwrap();
    let mut seen = String::new();
    while let Some(bytes) = stream.chunk().await.unwrap() {
        seen.push_str(std::str::from_utf8(&bytes).unwrap());
        let whole = seen.rfind("\n\n").map_or(0, |end| end + 2);
        let events = parse_sse(&seen[..whole]);
        let last = events
            .last()
            .map_or(0, |event| event.data["sequence"].as_i64().unwrap());
        if last >= sequence {
            return true;
        }
    }
    false
}

async fn ended(program: &Program, path: &str) -> Value {
    let ending = async {
        loop {
            let answer = program.request("GET", path).send().await.unwrap();
            let run: Value = answer.json().await.unwrap();
            if run["status"] != "running" {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let ended = tokio::time::timeout(TEST_TIMEOUT, ending).await;
    ended.unwrap_or_else(|_| panic!("the run did not end: {}", program.log()))
}

#[tokio::test]
async fn no_kill_loses_the_output_or_adds_a_repair() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(lines()).await;
    let config = format!(
        "[providers.default]\nkind = \"openai\"\nbase_url = \"{}\"\napi_key = \"sk-test\"\nmodel = \"scripted\"\n{}",
        upstream.base_url(),
        OPEN.replace("runyard/demo", "kortix/minimax")
    );
    let mut program = Program::start(folder.path(), &config).await;
    let mut points = 0;
    for sequence in 1.. {
        let prompt = format!("Rome.\n{INVALID}\n{VALID}");
        let body = json!({"prompt": prompt, "output_schema": schema()});
        let started = program
            .request("POST", "/agent/start")
            .json(&body)
            .send()
            .await
            .unwrap();
        let started: Value = started.json().await.unwrap();
        let path = format!("/agent-run/{}", text(&started, "agent_run_id"));
        let is_reached = reach(&program, &path, sequence).await;
        if is_reached {
            points += 1;
            program.kill().await;
            program.start_again().await;
        }
        let run = ended(&program, &path).await;
        assert_eq!(run["status"], "completed", "at {sequence}: {run}");
        assert_eq!(run["output"]["people"], 2_800_000, "at {sequence}: {run}");
        let streamed = program.request("GET", &format!("{path}/stream")).send().await.unwrap();
        let events = parse_sse(&streamed.text().await.unwrap());
        assert_no_gaps(&events, 1);
        assert_eq!(events.last().unwrap().data["status"]["output"], run["output"]);
        let whole = events
            .iter()
            .filter(|event| event.event == "message" && event.data["message"]["partial"] == false);
        assert_eq!(whole.count(), 3, "at {sequence}: {:?}", kinds(&events));
        if !is_reached {
            break;
        }
    }
    assert!(points >= 8, "only {points} points");
}
