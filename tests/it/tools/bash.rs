//! Tests of the bash tool: output, time limit, cancellation and exhausted resources.

use std::time::{Duration, Instant};

use runyard::tools;
use serde_json::json;

use super::Shop;

#[tokio::test]
async fn bash_answers_with_output_and_status() {
    let shop = Shop::new();
    assert_eq!(
        shop.bash("echo one; echo two >&2; pwd").await,
        "one\ntwo\n/workspace\n[exit status 0]"
    );
    assert_eq!(shop.bash("true").await, "(no output)\n[exit status 0]");
    let answer = shop
        .call("bash", json!({"command": "printf oops; exit 3"}))
        .await
        .unwrap();
    assert!(answer.is_error);
    assert_eq!(answer.text, "oops\n[exit status 3]");
    assert!(shop.output.lock().unwrap().contains("oops"));
}

#[tokio::test]
async fn bash_streams_while_it_runs() {
    let shop = Shop::new();
    let watching = async {
        let started = Instant::now();
        while !shop.output.lock().unwrap().contains("first") {
            assert!(started.elapsed() < Duration::from_secs(20), "no output was streamed");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The command waits for this file, so the command was still running when its first line arrived.
        shop.put("go", "");
    };
    let command = "echo first; while [ ! -e go ]; do sleep 0.05; done; echo second";
    let (text, ()) = tokio::join!(
        shop.text("bash", json!({"command": command, "timeout_seconds": 60})),
        watching
    );
    assert_eq!(text, "first\nsecond\n[exit status 0]");
}

#[tokio::test]
async fn bash_times_out() {
    let shop = Shop::new();
    let started = Instant::now();
    let answer = shop
        .call(
            "bash",
            json!({"command": "echo before; sleep 60", "timeout_seconds": 1}),
        )
        .await
        .unwrap();
    assert!(
        answer.is_error && answer.text.starts_with("before\n"),
        "{}",
        answer.text
    );
    assert!(answer.text.contains("timed out"), "{}", answer.text);
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(
        shop.error("bash", json!({"command": "true", "timeout_seconds": 0}))
            .await
            .contains("/timeout_seconds")
    );
}

#[tokio::test]
async fn a_timeout_is_clamped_to_the_configured_maximum() {
    let shop = Shop::with("[sandbox]\nmax_timeout_seconds = 1\ndefault_timeout_seconds = 1\n");
    let started = Instant::now();
    let answer = shop
        .call("bash", json!({"command": "sleep 60", "timeout_seconds": 3000}))
        .await
        .unwrap();
    assert!(answer.is_error && answer.text.contains("timed out"), "{}", answer.text);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn bash_is_cancelled_at_once() {
    let shop = Shop::new();
    let stopping = async {
        let started = Instant::now();
        while !shop.output.lock().unwrap().contains("running") {
            assert!(started.elapsed() < Duration::from_secs(20), "the command never ran");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        shop.cancel.cancel();
        Instant::now()
    };
    let (answer, stopped) = tokio::join!(
        shop.call("bash", json!({"command": "echo running; sleep 60"})),
        stopping
    );
    assert!(answer.unwrap().is_error);
    assert!(stopped.elapsed() < Duration::from_secs(20), "{:?}", stopped.elapsed());
}

#[tokio::test]
async fn long_output_is_cut_to_its_head_and_tail() {
    let shop = Shop::new();
    let answer = shop
        .call("bash", json!({"command": "echo HEAD; seq 1 200000; echo TAIL"}))
        .await
        .unwrap();
    assert!(answer.truncated && !answer.is_error);
    assert!(answer.text.starts_with("HEAD\n1\n") && answer.text.ends_with("TAIL\n[exit status 0]"));
    assert!(answer.text.len() < 40_000, "{}", answer.text.len());
}

#[tokio::test]
async fn bash_reports_out_of_memory() {
    let shop = Shop::with("[sandbox]\nmax_memory_bytes = 67108864\n");
    let hog = "head -c 400000000 /dev/zero | tail";
    let error = shop.error("bash", json!({"command": hog, "timeout_seconds": 60})).await;
    // With a control group, the kernel kills the command. With rlimits alone, the program itself reports the error.
    assert!(error.to_lowercase().contains("memory"), "{error}");
    // Control: the command succeeds if it needs little memory.
    shop.text("bash", json!({"command": "head -c 4000 /dev/zero | tail >/dev/null"}))
        .await;
}

#[tokio::test]
async fn bash_reports_a_full_disk() {
    let shop = Shop::with("[sandbox]\nmax_workspace_bytes = 20000000\n");
    let fill = "while true; do head -c 4000000 /dev/zero > f$RANDOM$RANDOM; sleep 0.05; done";
    let error = shop
        .error("bash", json!({"command": fill, "timeout_seconds": 60}))
        .await;
    assert!(error.contains("disk full"), "{error}");
}

#[tokio::test]
async fn a_script_that_is_too_long_is_refused() {
    let shop = Shop::new();
    let error = shop
        .error("bash", json!({"command": format!("true {}", "x".repeat(200_000))}))
        .await;
    assert!(error.contains("Write it to a file"), "{error}");
    assert!(!shop.error("bash", json!({"command": "echo a\u{0}b"})).await.is_empty());
}

#[tokio::test]
async fn a_progress_bar_becomes_one_line() {
    let shop = Shop::new();
    let bar = "for i in $(seq 0 100); do printf '\\r%3d%%' $i; done; echo; printf '1%%\\r2%%\\r\\033[Kdone\\n'";
    assert_eq!(shop.bash(bar).await, "100%\ndone\n[exit status 0]");
    // Control: lines that do not overwrite each other are kept.
    assert_eq!(shop.bash("seq 3").await, "1\n2\n3\n[exit status 0]");
}

#[test]
fn the_description_states_the_restrictions() {
    let core = tools::core();
    let description = &core.find("bash").unwrap().spec.description;
    assert!(description.contains("no network"), "{description}");
}
