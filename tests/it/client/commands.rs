//! Tests of `runyard runs`, `stop`, `threads`, `files` and `keys` against a real server.

use std::{os::unix::process::ExitStatusExt as _, process::Stdio, time::Duration};

use runyard_upstream::{Script, Turn};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
    time::timeout,
};

use crate::test_server::{TEST_TIMEOUT, TestServer, on_every_database};

const UNKNOWN: &str = "0196f7a2-0000-7000-8000-000000000001";

/// Runs a command as the caller `ann`. Returns its exit status, its standard output and its standard error.
async fn command(server: &TestServer, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_runyard"))
        .args(arguments)
        .env_clear()
        .env("RUNYARD_SERVER", server.url(""))
        .env("RUNYARD_TOKEN", server.caller("ann").token)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(TEST_TIMEOUT, output).await.expect("the command ends").unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

async fn succeeds(server: &TestServer, arguments: &[&str]) -> String {
    let (code, out, errors) = command(server, arguments).await;
    assert_eq!(code, Some(0), "{arguments:?}: {out}{errors}");
    out
}

async fn rows(server: &TestServer, arguments: &[&str]) -> Vec<Value> {
    let out = succeeds(server, &[arguments, &["--json"]].concat()).await;
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_command_line_lists_shows_and_deletes_runs_and_threads() {
    on_every_database(
        |_| Turn::words(3),
        async |server| {
            let ann = server.caller("ann");
            let run = ann.start("count").await;
            ann.ended(&run).await;
            let (run_id, thread) = (
                run["agent_run_id"].as_str().unwrap(),
                run["thread_id"].as_str().unwrap(),
            );
            let listed = succeeds(server, &["runs", "list"]).await;
            assert!(listed.starts_with(run_id) && listed.contains("completed"), "{listed}");
            assert_eq!(succeeds(server, &["runs", "list", "--status", "failed"]).await, "");
            let same = rows(server, &["runs", "list", "--thread", thread]).await;
            assert_eq!(same, [ann.get(&format!("/agent-run/{run_id}")).await.ok()]);
            assert_eq!(rows(server, &["runs", "show", run_id]).await, same);
            let shown = succeeds(server, &["runs", "show", run_id]).await;
            assert!(shown.contains("status          completed"), "{shown}");

            let events = rows(server, &["runs", "watch", run_id]).await;
            let numbers: Vec<_> = events.iter().map(|event| event["sequence"].as_i64().unwrap()).collect();
            let expected: Vec<_> = (1..).take(events.len()).collect();
            assert!(events.len() > 1 && numbers == expected, "{numbers:?}");
            let rest = rows(server, &["runs", "watch", run_id, "--after", "1"]).await;
            assert_eq!(rest, events[1..]);

            let listed = succeeds(server, &["threads", "list"]).await;
            assert!(listed.starts_with(thread) && listed.lines().count() == 1, "{listed}");
            let shown = rows(server, &["threads", "show", thread]).await;
            assert_eq!(shown, [ann.get(&format!("/threads/{thread}")).await.ok()]);
            let messages = succeeds(server, &["threads", "messages", thread]).await;
            assert!(
                messages.starts_with("user: count\n") && messages.contains("\nassistant: "),
                "{messages}"
            );
            succeeds(server, &["threads", "delete", thread]).await;
            assert_eq!(succeeds(server, &["threads", "list"]).await, "");
            for missing in [
                &["threads", "show", thread][..],
                &["threads", "delete", thread],
                &["runs", "show", UNKNOWN],
                &["runs", "watch", UNKNOWN],
                &["stop", UNKNOWN],
            ] {
                let (code, out, errors) = command(server, missing).await;
                assert_eq!(
                    (code, out.as_str(), errors.lines().count()),
                    (Some(1), "", 1),
                    "{errors}"
                );
                assert!(errors.contains("not found"), "{errors}");
            }
        },
    )
    .await;
}

/// Starts `runyard runs watch`, and waits for its first line.
async fn watching(server: &TestServer, run_id: &str) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_runyard"))
        .args(["runs", "watch", run_id, "--json"])
        .env_clear()
        .env("RUNYARD_SERVER", server.url(""))
        .env("RUNYARD_TOKEN", server.caller("ann").token)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut first = [0];
    let reading = child.stdout.as_mut().unwrap().read_exact(&mut first);
    timeout(TEST_TIMEOUT, reading).await.unwrap().unwrap();
    child
}

#[tokio::test]
async fn the_stop_command_stops_a_run() {
    on_every_database(
        |gate| {
            let gate = gate.clone();
            Script::function(move |_| Turn::words(20).delay(Duration::from_millis(1)).gate_after(5, &gate))
        },
        async |server| {
            let ann = server.caller("ann");
            let run = ann.start("count").await;
            let run_id = run["agent_run_id"].as_str().unwrap();
            let stopped = rows(server, &["stop", run_id]).await;
            assert_eq!(stopped[0]["agent_run_id"], *run_id);
            let (code, out, errors) = command(server, &["runs", "watch", run_id]).await;
            assert_eq!(code, Some(130), "{out}{errors}");
            let shown = succeeds(server, &["stop", run_id]).await;
            assert!(shown.contains("status          stopped"), "{shown}");

            // Ctrl-C ends a watch, and leaves the run as it is.
            let run = ann.start("count again").await;
            let run_id = run["agent_run_id"].as_str().unwrap();
            let watch = watching(server, run_id).await;
            let id = Pid::from_raw(watch.id().unwrap().cast_signed()).unwrap();
            kill_process(id, Signal::INT).unwrap();
            let ended = timeout(TEST_TIMEOUT, watch.wait_with_output()).await.unwrap().unwrap();
            assert_eq!(ended.status.signal(), Some(Signal::INT.as_raw()));
            assert_eq!(ann.get(&format!("/agent-run/{run_id}")).await.ok()["status"], "running");
        },
    )
    .await;
}

#[tokio::test]
async fn the_command_line_manages_keys_and_finds_agents_by_name() {
    on_every_database(
        |_| Turn::words(1),
        async |server| {
            let (code, secret, errors) = command(server, &["keys", "create", "ci", "--scope", "read"]).await;
            assert_eq!((code, secret.lines().count()), (Some(0), 1), "{errors}");
            let uses_key = async || {
                let request = server.http.get(server.url("/threads"));
                let answer = request.header("x-api-key", secret.trim()).send().await;
                answer.unwrap().status().as_u16()
            };
            assert_eq!(uses_key().await, 200);
            let listed = rows(server, &["keys", "list"]).await;
            assert_eq!((listed.len(), &listed[0]["name"]), (1, &json!("ci")));
            let key_id = listed[0]["key_id"].as_str().unwrap();
            assert!(errors.contains(key_id), "{errors}");
            let revoked = succeeds(server, &["keys", "revoke", key_id]).await;
            assert!(revoked.trim_end().ends_with("revoked"), "{revoked}");
            assert_eq!(uses_key().await, 401);

            let short = rows(server, &["keys", "create", "short", "--expires-in-days", "2"])
                .await
                .remove(0);
            let expires: chrono::DateTime<chrono::Utc> =
                short["api_key"]["expires_at"].as_str().unwrap().parse().unwrap();
            let hours = (expires - chrono::Utc::now()).num_hours();
            assert!((46..=48).contains(&hours), "{short}");

            let agent = succeeds(server, &["agents", "create", "Analyst"]).await;
            let same = rows(server, &["agents", "list"]).await;
            assert_eq!((same.len(), &same[0]["agent_id"]), (1, &json!(agent.trim())));
            let shown = succeeds(server, &["agents", "show", "Analyst"]).await;
            assert!(shown.contains(agent.trim()), "{shown}");
            succeeds(server, &["run", "hello", "--mode", "chat", "--agent", "Analyst"]).await;
            let runs = rows(server, &["runs", "list"]).await;
            assert_eq!(runs[0]["agent_id"], *agent.trim());
            let (_, _, errors) = command(server, &["agents", "show", "Analys"]).await;
            assert!(errors.contains("no agent has the name Analys;"), "{errors}");
            server
                .caller("ann")
                .post("/agents", json!({"name": "Analyst"}))
                .await
                .ok();
            let (_, _, errors) = command(server, &["agents", "show", "Analyst"]).await;
            assert!(errors.contains("several agents have the name Analyst"), "{errors}");
        },
    )
    .await;
}

#[tokio::test]
async fn the_command_line_lists_downloads_uploads_and_deletes_files() {
    on_every_database(
        |_| Turn::words(3),
        async |server| {
            let ann = server.caller("ann");
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
            let none = ann.post("/threads", json!({"name": "Empty"})).await.ok();
            let none = none["thread_id"].as_str().unwrap();
            assert_eq!(succeeds(server, &["files", "list", none]).await, "");
            std::fs::write(at("a.txt"), "hello").unwrap();
            let (code, _, errors) = command(server, &["files", "put", none, &at("a.txt")]).await;
            assert_eq!(code, Some(1));
            assert!(errors.contains("no sandbox yet"), "{errors}");

            let out = succeeds(server, &["run", "count", "--file", &at("a.txt"), "--json"]).await;
            assert!(out.contains("completed"), "{out}");
            let thread = rows(server, &["threads", "list", "--limit", "1"]).await.remove(0);
            let thread = thread["thread_id"].as_str().unwrap();
            let written = rows(server, &["files", "put", thread, &at("a.txt"), "more/b.txt"]).await;
            assert_eq!(
                (&written[0]["path"], &written[0]["size"]),
                (&json!("more/b.txt"), &json!(5))
            );
            let listed = succeeds(server, &["files", "list", thread, "more"]).await;
            assert!(listed.ends_with(" more/b.txt\n") && listed.contains("5 B"), "{listed}");
            assert!(succeeds(server, &["files", "list", thread]).await.contains(" more/\n"));

            succeeds(server, &["files", "get", thread, "more/b.txt", &at("c.txt")]).await;
            assert_eq!(std::fs::read_to_string(at("c.txt")).unwrap(), "hello");
            succeeds(server, &["files", "get", thread, "more", &at("copy"), "--recursive"]).await;
            assert_eq!(std::fs::read_to_string(at("copy/b.txt")).unwrap(), "hello");

            succeeds(server, &["files", "delete", thread, "more/b.txt"]).await;
            for missing in [
                &["files", "get", thread, "more/b.txt", &at("d.txt")][..],
                &["files", "delete", thread, "more/b.txt"],
                &["files", "list", UNKNOWN],
            ] {
                let (code, _, errors) = command(server, missing).await;
                assert_eq!(code, Some(1), "{missing:?}: {errors}");
                assert!(
                    errors.contains("not found") || errors.contains("there is no file"),
                    "{errors}"
                );
            }
            assert!(!folder.path().join("d.txt").exists());
        },
    )
    .await;
}
