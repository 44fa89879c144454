//! Tests of runs that have used up their steps, time or tokens.

use std::time::Duration;

use runyard::{engine, llm::ChatMessage, tools::Effect};
use serde_json::json;

use super::script::{Say, Stage, answer, call, failing, text};

#[tokio::test]
async fn an_exhausted_step_budget_ends_with_one_request_without_tools() {
    let turn = |n: u32| answer(vec![call("a", "look", &json!({"n": n}))]);
    let mut stage = Stage::new(vec![turn(1), turn(2), text("So far so good.")]).usual_tools();
    stage.job.budget.max_steps = 2;
    let played = stage.run().await;
    played.assert_completed();
    assert!(
        played.log.has("record notice NOTICE_KIND_BUDGET_EXHAUSTED"),
        "{:#?}",
        played.lines()
    );
    let tools: Vec<usize> = played.sent.iter().map(|request| request.tools.len()).collect();
    assert_eq!(tools, [2, 2, 0]);
    let Some(ChatMessage::User { text, .. }) = played.last_sent().last() else {
        panic!("no note")
    };
    assert!(text.contains("steps"), "{text}");
}

#[tokio::test]
async fn a_call_in_an_answer_to_a_request_without_tools_is_not_run() {
    let wants = |n: u32| answer(vec![Say::Text("More!"), call("a", "look", &json!({"n": n}))]);
    let mut stage = Stage::new(vec![wants(1), wants(2)]).usual_tools();
    stage.job.budget.max_steps = 1;
    let played = stage.run().await;
    played.assert_completed();
    assert!(played.log.has("tool look 1 starts") && !played.log.has("tool look 2 starts"));
    assert!(!played.log.has("call a look + call"), "{:#?}", played.lines());
}

#[tokio::test]
async fn steps_of_an_earlier_worker_count_towards_the_budget() {
    let mut stage = Stage::new(vec![text("Summed up.")]).usual_tools();
    stage.job.budget.max_steps = 5;
    stage.job.steps_done = 5;
    let played = stage.run().await;
    played.assert_completed();
    assert!(played.sent[0].tools.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_time_limit_ends_a_stream() {
    let mut stage = Stage::new(vec![vec![Say::Text("Half"), Say::Hang]]);
    stage.job.budget.max_duration = Duration::from_secs(3);
    let played = stage.run().await;
    played.assert_failed(engine::RUN_TIMEOUT);
    let lines = played.lines();
    assert!(
        lines[1].starts_with("record message \"Half\" partial + usage"),
        "{lines:#?}"
    );
    assert!(
        lines[1].ends_with("+ notice NOTICE_KIND_BUDGET_EXHAUSTED"),
        "{lines:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_time_limit_ends_a_tool() {
    let mut stage = Stage::new(vec![answer(vec![call("a", "wait", &json!({"n": 1}))])]).tool(
        "wait",
        Effect::Changes,
        |_, context| {
            let cancel = context.cancel.clone();
            Box::pin(async move {
                cancel.cancelled().await;
                Ok(failing("cancelled"))
            })
        },
    );
    stage.job.budget.max_duration = Duration::from_secs(3);
    let played = stage.run().await;
    played.assert_failed(engine::RUN_TIMEOUT);
    assert!(
        played.log.has("record result a error \"cancelled\""),
        "{:#?}",
        played.lines()
    );
    assert!(played.log.has("notice NOTICE_KIND_BUDGET_EXHAUSTED"));
}

#[tokio::test]
async fn an_exhausted_token_budget_fails_the_run() {
    let turn = |n: u32| answer(vec![call("a", "look", &json!({"n": n}))]);
    let mut stage = Stage::new(vec![turn(1), turn(2)]).usual_tools();
    // Every answer uses 15 tokens, and the run has already used 10.
    stage.job.budget.max_tokens = 40;
    stage.job.tokens_used = 10;
    let played = stage.run().await;
    played.assert_failed(engine::TOKEN_BUDGET_EXHAUSTED);
    assert!(
        played.log.has("tool look 2 ends"),
        "calls made before the limit still finish"
    );
    assert!(played.log.has("notice NOTICE_KIND_BUDGET_EXHAUSTED"));
    let limits: Vec<u32> = played.sent.iter().map(|request| request.max_output_tokens).collect();
    assert_eq!(limits, [30, 15], "an answer may use only the remaining tokens");
}
