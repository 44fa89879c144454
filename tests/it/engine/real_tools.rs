//! A complete run with real tools in a real sandbox. Only the model is scripted.

use std::time::{Duration, Instant};

use runyard::{
    engine::{Outcome, history::NOTE},
    llm::{ChatMessage, LlmError},
    tools,
    v1::run_event::Event,
};
use serde_json::json;

use super::script::{Say, Stage, answer, assistant, call, result, text, user};
use crate::tools::Shop;

fn stage(shop: &Shop, turns: Vec<Vec<Say>>) -> Stage {
    let mut stage = Stage::new(turns);
    stage.job.workplace = shop.sandbox.clone();
    stage.job.tools = tools::built_in();
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
            assert!(waiting.elapsed() < Duration::from_secs(20), "the command did not start");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cancel.cancel();
        Instant::now()
    });
    assert!(matches!(played.outcome, Outcome::Stopped), "{:?}", played.outcome);
    assert!(
        stopped_at.elapsed() < Duration::from_secs(20),
        "{:?}",
        stopped_at.elapsed()
    );
    assert!(played.log.has("result b error"), "{:#?}", played.lines());
    let beats = shop.content("beats").len();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(shop.content("beats").len(), beats, "something is still running");
}

/// Starts a process that writes to the file `beats` until it ends.
fn beating() -> Say {
    let command = "echo ready; while sleep 0.05; do echo beat >> beats; done";
    call("b", "bash", &json!({"command": command, "background": true}))
}

fn first_output() -> Say {
    call("o", "bash_output", &json!({"id": "bash_1", "wait_seconds": 20}))
}

async fn assert_still(shop: &Shop) {
    let beats = || {
        std::fs::read_to_string(shop.workspace.join("beats"))
            .unwrap_or_default()
            .len()
    };
    let before = beats();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(beats(), before, "a background process is still running");
}

#[tokio::test]
async fn background_processes_end_with_a_completed_run() {
    let shop = Shop::new();
    let wait = json!({"command": "while [ ! -e beats ]; do sleep 0.05; done"});
    let turns = vec![
        answer(vec![
            beating(),
            call("q", "bash", &json!({"command": "exit 3", "background": true})),
        ]),
        answer(vec![first_output(), call("w", "bash", &wait)]),
        answer(vec![call(
            "e",
            "bash_output",
            &json!({"id": "bash_2", "wait_seconds": 20, "wait_for": "end"}),
        )]),
        text("It runs."),
    ];
    let played = stage(&shop, turns).run().await;
    played.assert_completed();
    let log = &played.log;
    assert!(
        log.has("result b \"[started bash_1 in the background"),
        "{:#?}",
        played.lines()
    );
    assert!(log.has("result o \"ready\\n[still running"), "{:#?}", played.lines());
    assert!(
        log.has("result e \"(no new output)\\n[ended: exit status 3]"),
        "{:#?}",
        played.lines()
    );
    let notices: Vec<String> = log.events.lock().unwrap().iter().filter_map(notice).collect();
    assert_eq!(
        notices,
        [
            "The background process bash_2 has ended: exit status 3.",
            "The run ended, so these background processes were ended too: bash_1."
        ]
    );
    assert_still(&shop).await;
}

fn notice(event: &Event) -> Option<String> {
    match event {
        Event::Notice(notice) => Some(notice.message.clone()),
        _ => None,
    }
}

#[tokio::test]
async fn background_processes_end_with_a_stopped_and_with_a_failed_run() {
    for is_stopped in [true, false] {
        let shop = Shop::new();
        let last = if is_stopped {
            vec![Say::Hang]
        } else {
            vec![Say::Fail(LlmError::Refused("no".to_owned()))]
        };
        let stage = stage(&shop, vec![answer(vec![beating()]), answer(vec![first_output()]), last]);
        let (log, cancel) = (stage.log.clone(), stage.cancel.clone());
        let (played, ()) = tokio::join!(stage.run(), async {
            log.wait_for("result o \"ready").await;
            if is_stopped {
                cancel.cancel();
            }
        });
        match played.outcome {
            Outcome::Stopped => assert!(is_stopped),
            Outcome::Failed { .. } => assert!(!is_stopped),
            other => panic!("{other:?}"),
        }
        assert_still(&shop).await;
    }
}

#[tokio::test]
async fn a_resumed_run_tells_the_model_that_its_background_processes_ended() {
    let shop = Shop::new();
    let start = r#"{"command":"sleep 600","background":true}"#;
    let told = |messages: &[ChatMessage]| {
        let note = messages.last().unwrap();
        matches!(note, ChatMessage::User { text, .. } if text.starts_with(NOTE) && text.contains("background processes"))
    };
    let read = |text| {
        [
            assistant("", &[("o", "bash_output", r#"{"id":"bash_1"}"#)]),
            result("o", "bash_output", text),
        ]
    };
    for (steps_done, more, own_history, wanted) in [
        (1, Vec::new(), 0, true),
        (0, Vec::new(), 0, false),
        // The process belongs to an earlier run of the thread.
        (1, vec![assistant("Done.", &[]), user("Do more.")], 4, false),
        // A message was added to the run after the process had started.
        (1, vec![user("Do it in blue.")], 0, true),
        (1, read("(no new output)\n[still running after 3 s]").to_vec(), 0, true),
        (1, read("blue\n[ended: exit status 0]").to_vec(), 0, false),
    ] {
        let mut stage = stage(
            &shop,
            vec![
                answer(vec![call(
                    "s",
                    "bash",
                    &json!({"command": "sleep 600", "background": true}),
                )]),
                text("Done."),
            ],
        );
        stage.job.steps_done = steps_done;
        stage.job.history = vec![
            user("Do it."),
            assistant("", &[("c", "bash", start)]),
            result("c", "bash", "[started bash_1 in the background]"),
        ];
        let case = format!("{steps_done} {more:?}");
        stage.job.history.extend(more);
        stage.job.own_history = own_history;
        let played = stage.run().await;
        played.assert_completed();
        assert_eq!(told(&played.sent[0].messages), wanted, "{case}");
        assert!(!told(&played.sent[1].messages));
        // Ids are not used again.
        assert!(played.log.has("result s \"[started bash_2 in"), "{:#?}", played.lines());
    }
}
