//! Tests of background processes: `bash` with `background`, `bash_output` and `bash_kill`.

use std::time::{Duration, Instant};

use runyard::{sandbox::MAX_SPAWNED, tools::background::MAX_UNREAD_BYTES};
use serde_json::json;

use super::Shop;

impl Shop {
    /// Starts a background process, which must get the id `bash_` and `number`.
    async fn start(&self, command: &str, number: usize) -> String {
        let arguments = json!({"command": command, "background": true});
        let text = self.text("bash", arguments).await;
        let id = format!("bash_{number}");
        assert!(text.starts_with(&format!("[started {id} in the background")), "{text}");
        id
    }

    /// Waits for new output and returns it with the status of the process.
    async fn output(&self, id: &str) -> String {
        self.text("bash_output", json!({"id": id, "wait_seconds": 20})).await
    }

    /// Waits for the end of the process and returns the rest of its output with its status.
    async fn end(&self, id: &str) -> String {
        let arguments = json!({"id": id, "wait_seconds": 30, "wait_for": "end"});
        self.text("bash_output", arguments).await
    }
}

#[tokio::test]
async fn a_background_process_runs_between_calls() {
    let shop = Shop::new();
    let command = "echo first; echo second >&2; while [ ! -e go ]; do sleep 0.05; done; echo third; exit 3";
    let id = shop.start(command, 1).await;
    let mut seen = String::new();
    while !seen.contains("second") {
        seen += &shop.output(&id).await;
    }
    assert!(
        seen.starts_with("first\n") && seen.contains("[still running after "),
        "{seen}"
    );
    // Other calls run meanwhile. Output that was read is not returned again.
    assert_eq!(shop.bash("touch go; echo ok").await, "ok\n[exit status 0]");
    assert_eq!(shop.end(&id).await, "third\n[ended: exit status 3]");
    assert_eq!(shop.output(&id).await, "(no new output)\n[ended: exit status 3]");
    let reports = shop.reports.lock().unwrap().clone();
    assert_eq!(reports, ["The background process bash_1 has ended: exit status 3."]);
}

#[tokio::test]
async fn a_background_process_shares_the_workspace_but_not_the_network() {
    let shop = Shop::new();
    let id = shop
        .start("readlink /proc/self/ns/net > theirs; exec sleep 600", 1)
        .await;
    let command =
        "while [ ! -s theirs ]; do sleep 0.05; done; readlink /proc/self/ns/net > ours; head -c 5 ours theirs";
    let seen = shop.bash(command).await;
    assert_eq!(seen.matches("net:[").count(), 2, "{seen}");
    assert_ne!(shop.content("ours"), shop.content("theirs"));
    let killed = shop.text("bash_kill", json!({"id": id})).await;
    assert!(killed.ends_with("\n[ended: killed]"), "{killed}");
}

#[tokio::test]
async fn bash_kill_ends_a_process_and_its_children() {
    let shop = Shop::new();
    let beat = "(while sleep 0.05; do echo beat >> beats; done) & echo started; sleep 600";
    let id = shop.start(beat, 1).await;
    assert!(shop.output(&id).await.starts_with("started\n"));
    let started = Instant::now();
    while !shop.workspace.join("beats").exists() {
        assert!(started.elapsed() < Duration::from_secs(20), "the process did not start");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let killed = shop.text("bash_kill", json!({"id": id})).await;
    assert!(killed.ends_with("[ended: killed]"), "{killed}");
    let beats = shop.content("beats").len();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(shop.content("beats").len(), beats, "a child process is still running");
    // A second call has nothing to do.
    let killed = shop.text("bash_kill", json!({"id": id})).await;
    assert_eq!(killed, "(no new output)\n[ended: killed]");
}

#[tokio::test]
async fn an_unknown_process_is_refused_with_the_list() {
    let shop = Shop::new();
    let error = shop.error("bash_output", json!({"id": "bash_7"})).await;
    assert!(error.contains("are: none"), "{error}");
    let id = shop.start("sleep 600", 1).await;
    for tool in ["bash_output", "bash_kill"] {
        let error = shop.error(tool, json!({"id": "bash_7"})).await;
        assert!(error.contains("are: bash_1"), "{error}");
    }
    assert!(shop.error("bash_output", json!({})).await.contains("\"id\""));
    shop.text("bash_kill", json!({"id": id})).await;
}

#[tokio::test]
async fn unread_output_is_bounded_and_the_oldest_is_dropped() {
    let shop = Shop::new();
    let id = shop.start("seq 1 200000; echo LAST", 1).await;
    let arguments = json!({"id": id, "wait_seconds": 30, "wait_for": "end"});
    let answer = shop.call("bash_output", arguments).await.unwrap();
    assert!(answer.truncated && !answer.is_error);
    assert!(answer.text.len() < MAX_UNREAD_BYTES + 200, "{}", answer.text.len());
    assert!(answer.text.ends_with("200000\nLAST\n[ended: exit status 0]"));
    assert!(answer.text.starts_with("[... 12"), "{}", &answer.text[..80]);
}

#[tokio::test]
async fn the_number_of_running_processes_is_limited() {
    let shop = Shop::new();
    for number in 1..=MAX_SPAWNED {
        shop.start("sleep 600", number).await;
    }
    let refused = json!({"command": "sleep 600", "background": true});
    let error = shop.error("bash", refused.clone()).await;
    assert!(error.contains("end one of them first"), "{error}");
    // Control: after one of them has ended, another can start.
    shop.text("bash_kill", json!({"id": "bash_3"})).await;
    shop.start("sleep 600", MAX_SPAWNED + 1).await;
    // The output of ended processes is kept for a bounded number of them.
    shop.text("bash_kill", json!({"id": "bash_4"})).await;
    for number in MAX_SPAWNED + 2..MAX_SPAWNED + 14 {
        let id = shop.start("true", number).await;
        shop.end(&id).await;
    }
    assert!(
        shop.error("bash_output", json!({"id": "bash_3"}))
            .await
            .contains("bash_1")
    );
}

#[tokio::test]
async fn a_background_process_has_the_limits_of_a_command() {
    let shop = Shop::with("[sandbox]\nmax_workspace_bytes = 20000000\n");
    let fill = "while true; do head -c 4000000 /dev/zero > f$RANDOM$RANDOM; sleep 0.05; done";
    let id = shop.start(fill, 1).await;
    let end = shop.end(&id).await;
    assert!(end.contains("[ended: disk full"), "{end}");
    // Control: the limit concerns the workspace only.
    let id = shop.start("head -c 40000000 /dev/zero | wc -c", 2).await;
    assert_eq!(shop.end(&id).await, "40000000\n[ended: exit status 0]");
}

#[tokio::test]
async fn a_time_limit_ends_a_background_process() {
    let shop = Shop::new();
    let arguments = json!({"command": "echo before; exec sleep 600", "background": true, "timeout_seconds": 1});
    shop.text("bash", arguments).await;
    let end = shop.end("bash_1").await;
    assert!(
        end.starts_with("before\n") && end.contains("\n[ended: timed out"),
        "{end}"
    );
}

#[tokio::test]
async fn a_cancelled_call_stops_waiting() {
    let shop = Shop::new();
    let id = shop.start("sleep 600", 1).await;
    let arguments = json!({"id": id, "wait_seconds": 600});
    let waiting = shop.call("bash_output", arguments);
    let (answer, ()) = tokio::join!(waiting, async { shop.cancel.cancel() });
    assert_eq!(answer.unwrap_err(), "stopped: the run was stopped");
}
