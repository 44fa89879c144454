//! A complete run with real tools in a real sandbox. Only the model is scripted.

use std::time::{Duration, Instant};

use runyard::{engine::Outcome, llm::ChatMessage, tools, v1::run_event::Event};
use serde_json::json;

use super::script::{Say, Stage, answer, call, text};
use crate::tools::Shop;

fn stage(shop: &Shop, turns: Vec<Vec<Say>>) -> Stage {
    let mut stage = Stage::new(turns);
    stage.job.workplace = shop.sandbox.clone();
    stage.job.tools = tools::core();
    stage
}

#[tokio::test]
async fn a_run_works_on_the_files_of_its_sandbox() {
    let shop = Shop::new();
    shop.put("data.csv", "name,n\na,1\nb,2\n");
    let turns = vec![
        answer(vec![
            call("l", "glob", &json!({"pattern": "*"})),
            call("r", "read", &json!({"path": "data.csv"})),
        ]),
        answer(vec![
            call(
                "w",
                "write",
                &json!({"path": "sum.sh", "content": "cut -d, -f2 data.csv | tail -n +2 | paste -sd+ | sed s/^/sum=/\n"}),
            ),
            call("b", "bash", &json!({"command": "sh sum.sh | tee output/sum.txt"})),
        ]),
        answer(vec![call("e", "bash", &json!({"command": "cat lost"}))]),
        text("The sum is in output/sum.txt."),
    ];
    let played = stage(&shop, turns).run().await;
    played.assert_completed();
    assert_eq!(shop.content("output/sum.txt"), "sum=1+2\n");
    let lines = played.lines();
    let at = |part: &str| {
        lines
            .iter()
            .position(|line| line.contains(part))
            .unwrap_or_else(|| panic!("{part}: {lines:#?}"))
    };
    assert!(
        at("call b bash") < at("output b \"sum=1+2\\n\"") && at("output b") < at("result b"),
        "{lines:#?}"
    );
    assert!(lines[at("result b")].contains("[exit status 0]"), "{lines:#?}");
    assert!(lines[at("result e")].contains("result e error"), "{lines:#?}");
    let results: Vec<&str> = played
        .last_sent()
        .iter()
        .filter_map(|message| match message {
            ChatMessage::Tool { text, .. } => Some(text.as_str()),
            ChatMessage::User { .. } | ChatMessage::Assistant { .. } => None,
        })
        .collect();
    assert_eq!(results[0], "data.csv\n");
    assert_eq!(results[1], "     1\tname,n\n     2\ta,1\n     3\tb,2\n");
    assert!(
        results[4].contains("No such file") && results[4].ends_with("[exit status 1]"),
        "{results:#?}"
    );
    let took = played
        .log
        .events
        .lock()
        .unwrap()
        .iter()
        .any(|event| matches!(event, Event::ToolResult(result) if result.duration_ms > 0));
    assert!(took, "the duration of a command is reported");
}

#[tokio::test]
async fn stop_kills_a_running_command_and_its_child_processes() {
    let shop = Shop::new();
    let command = "(while sleep 0.05; do echo beat >> beats; done) & echo started; sleep 60";
    let stage = stage(
        &shop,
        vec![answer(vec![call("b", "bash", &json!({"command": command}))])],
    );
    let (log, cancel) = (stage.log.clone(), stage.cancel.clone());
    let (played, stopped_at) = tokio::join!(stage.run(), async {
        log.wait_for("output b \"started").await;
        let waiting = Instant::now();
        while !shop.workspace.join("beats").exists() {
            assert!(waiting.elapsed() < Duration::from_secs(5), "the command did not start");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cancel.cancel();
        Instant::now()
    });
    assert!(matches!(played.outcome, Outcome::Stopped), "{:?}", played.outcome);
    assert!(
        stopped_at.elapsed() < Duration::from_secs(3),
        "{:?}",
        stopped_at.elapsed()
    );
    assert!(played.log.has("result b error"), "{:#?}", played.lines());
    let beats = shop.content("beats").len();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(shop.content("beats").len(), beats, "something is still running");
}
