//! Request helpers that [`test_server`](crate::test_server) does not provide.

use serde_json::Value;

use crate::test_server::{Answer, Caller, TEST_TIMEOUT};

/// The tools of a run of the default mode without an agent, in the order of the API.
pub const BUILT_IN: [&str; 8] = [
    "bash",
    "read",
    "write",
    "edit",
    "glob",
    "grep",
    "bash_output",
    "bash_kill",
];

pub async fn send(caller: &Caller, method: &str, path: &str, body: Value) -> Answer {
    Answer::of(caller.request(method, path).json(&body).send().await.unwrap()).await
}

pub async fn patch(caller: &Caller, path: &str, body: Value) -> Answer {
    send(caller, "PATCH", path, body).await
}

pub async fn put(caller: &Caller, path: &str, body: Value) -> Answer {
    send(caller, "PUT", path, body).await
}

pub async fn delete(caller: &Caller, path: &str) -> Answer {
    Answer::of(caller.request("DELETE", path).send().await.unwrap()).await
}

/// Waits until a run has a part of its answer.
pub async fn until_first_delta(caller: &Caller, run: &Value) {
    let path = format!("/agent-run/{}/stream", text(run, "agent_run_id"));
    let mut stream = caller.request("GET", &path).send().await.unwrap();
    let mut seen = String::new();
    while !seen.contains("event: message_delta") {
        let piece = tokio::time::timeout(TEST_TIMEOUT, stream.chunk()).await;
        let piece = piece.expect("the first part").unwrap().expect("the first part");
        seen.push_str(&String::from_utf8_lossy(&piece));
    }
}

pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} is not a string: {value}"))
}

/// Returns a field of each entry of a list. A missing field is null.
pub fn each(value: &Value, list: &str, field: &str) -> Vec<Value> {
    let rows = value[list]
        .as_array()
        .unwrap_or_else(|| panic!("{list} is not a list: {value}"));
    rows.iter().map(|row| row[field].clone()).collect()
}
