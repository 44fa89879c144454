//! Tests of the conversation: compaction, repair of missing results, resuming a run, the system prompt.

use chrono::NaiveDate;
use proptest::prelude::*;
use runyard::{
    engine::{
        self,
        compact::{compact, estimate_all},
        history::NOTE,
        prompt::{DEFAULT_SYSTEM_PROMPT, Prompt},
    },
    llm::{ChatMessage, LlmError},
    v1::run_event::Event,
};
use serde_json::json;

use super::script::{Played, Say, Stage, answer, assistant, call, carrying, result, text, user};

fn long_history() -> Vec<ChatMessage> {
    let mut history = vec![user("The first wish.")];
    for n in 0..40 {
        let id = format!("c{n}");
        history.push(assistant(&format!("Step {n}."), &[(&id, "look", "{\"n\":1}")]));
        history.push(result(&id, "look", &"data ".repeat(400)));
    }
    history.push(user("The newest wish."));
    history
}

#[tokio::test]
async fn a_conversation_over_the_window_is_compacted_with_a_notice() {
    let mut stage = Stage::new(vec![text("Done.")]).usual_tools();
    stage.job.history = long_history();
    stage.job.model.context_window = 6_000;
    stage.job.model.max_output_tokens = 1_000;
    let before = estimate_all(&stage.job.history);
    assert!(before > 20_000);
    let played = stage.run().await;
    played.assert_completed();
    assert_eq!(played.lines()[0], "record notice NOTICE_KIND_HISTORY_COMPACTED");
    let sent = played.last_sent();
    assert!(estimate_all(sent) <= 5_000, "{}", estimate_all(sent));
    assert_eq!(sent[0], user("The first wish."));
    assert_eq!(sent.last(), Some(&user("The newest wish.")));
    assert_paired(sent);
    assert!(
        sent.iter()
            .any(|message| matches!(message, ChatMessage::User { text, .. } if text.starts_with(NOTE)))
    );
    assert_eq!(played.sent[0].system, "Be brief.");
}

#[tokio::test]
async fn a_conversation_that_fits_is_sent_unchanged() {
    let mut stage = Stage::new(vec![text("Done.")]).usual_tools();
    stage.job.history = long_history();
    let played = stage.run().await;
    played.assert_completed();
    assert_eq!(played.last_sent(), long_history());
    assert!(!played.log.has("NOTICE_KIND_HISTORY_COMPACTED"));
}

#[test]
fn old_results_are_shortened_before_turns_are_dropped() {
    let history = long_history();
    let compacted = compact(history.clone(), estimate_all(&history) / 2);
    assert_eq!((compacted.dropped, compacted.messages.len()), (0, history.len()));
    assert!(compacted.shortened > 0);
    assert_eq!(compacted.messages[history.len() - 3..], history[history.len() - 3..]);
}

/// `window` is the size of the context window in the provider's error, if the error contains it.
fn too_long(window: Option<u64>) -> Vec<Say> {
    vec![Say::Fail(LlmError::TooLong {
        message: "too long".to_owned(),
        window,
    })]
}

fn sizes(played: &Played) -> Vec<u64> {
    let requests = played.sent.iter();
    requests.map(|request| estimate_all(&request.messages)).collect()
}

#[tokio::test]
async fn a_conversation_too_long_for_the_provider_is_shortened_until_it_fits() {
    let mut stage = Stage::new(vec![too_long(None), too_long(None), text("Done.")]).usual_tools();
    stage.job.history = long_history();
    let played = stage.run().await;
    played.assert_completed();
    assert!(played.log.has("record notice NOTICE_KIND_HISTORY_COMPACTED"));
    let sizes = sizes(&played);
    assert!(sizes[1] <= sizes[0] / 2 && sizes[2] <= sizes[1] / 2, "{sizes:?}");
}

#[tokio::test]
async fn a_conversation_that_cannot_be_shortened_fails_the_run() {
    let played = Stage::new(vec![too_long(None), too_long(None)])
        .usual_tools()
        .run()
        .await;
    played.assert_failed(engine::MODEL_CONTEXT_EXCEEDED);

    let mut stage = Stage::new((0..5).map(|_| too_long(None)).collect()).usual_tools();
    stage.job.history = long_history();
    stage.run().await.assert_failed(engine::MODEL_CONTEXT_EXCEEDED);
}

#[tokio::test]
async fn a_window_that_the_provider_names_is_used_for_the_rest_of_the_run() {
    let big = "x".repeat(30_000);
    let step = answer(vec![call("a", "big", &json!({"n": 1}))]);
    let mut stage = Stage::new(vec![too_long(Some(8_192)), step, text("Done.")]).tool(
        "big",
        runyard::tools::Effect::ReadOnly,
        move |_, _| {
            let text = big.clone();
            Box::pin(async move { Ok(super::script::fine(&text)) })
        },
    );
    stage.job.history = long_history();
    let played = stage.run().await;
    played.assert_completed();
    let sizes = sizes(&played);
    assert!(sizes[0] > 8_192 && sizes[1] < 6_144 && sizes[2] < 6_144, "{sizes:?}");
    let limits: Vec<u32> = played.sent.iter().map(|request| request.max_output_tokens).collect();
    assert_eq!(limits, [4_000, 2_048, 2_048]);
}

#[tokio::test]
async fn a_window_that_is_not_smaller_changes_no_limit() {
    for window in [100_000, 1 << 40, 12] {
        let mut stage = Stage::new(vec![too_long(Some(window)), text("Done.")]).usual_tools();
        stage.job.history = long_history();
        let played = stage.run().await;
        played.assert_completed();
        assert_eq!(played.sent[1].max_output_tokens, 4_000);
    }
}

#[tokio::test]
async fn a_notice_counts_each_message_once() {
    let mut stage = Stage::new(vec![too_long(Some(2_000)), text("Done.")]);
    stage.job.history = vec![user(&"lorem ipsum ".repeat(4_000))];
    let played = stage.run().await;
    played.assert_completed();
    assert_eq!(
        notices(&played),
        ["The conversation did not fit the model's context window: your message was shortened."]
    );

    let mut stage = Stage::new(vec![too_long(Some(1_500)), text("Done.")]);
    stage.job.history = vec![
        user(&"first ".repeat(2_000)),
        assistant(&"answer ".repeat(2_000), &[]),
        user("Go on."),
    ];
    let played = stage.run().await;
    played.assert_completed();
    let told = notices(&played).join("\n");
    assert!(
        told.contains("earlier message") && !told.contains("your message"),
        "{told}"
    );
    let counted: u32 = told.split(' ').filter_map(|word| word.parse::<u32>().ok()).sum();
    assert!((1..=2).contains(&counted), "{told}");
}

fn notices(played: &Played) -> Vec<String> {
    let events = played.log.events.lock().unwrap();
    events
        .iter()
        .filter_map(|event| match event {
            Event::Notice(notice) => Some(notice.message.clone()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_shortened_message_carries_nothing() {
    let value = json!({"reasoning": "r".repeat(300)});
    let mut history = vec![user("The first wish.")];
    for size in [0, 4_000] {
        history.push(carrying(assistant(&"a".repeat(size), &[]), value.clone()));
        history.push(user("Go on."));
    }
    history.extend((0..6).map(|_| user("Go on.")));
    let kept = |message: &ChatMessage| matches!(message, ChatMessage::Assistant { carried: Some(_), .. });
    assert!(estimate_all(&history[1..2]) > 75, "the carried value counts");
    let compacted = compact(history, 600);
    assert!(kept(&compacted.messages[1]) && !kept(&compacted.messages[3]));
    assert_eq!(compacted.shortened, 1);
}

#[tokio::test]
async fn a_growing_conversation_is_compacted_between_steps() {
    let big = "x".repeat(30_000);
    let turn = |n: u32| answer(vec![call("a", "big", &json!({"n": n}))]);
    let mut stage = Stage::new(vec![turn(1), turn(2), turn(3), text("Done.")]).tool(
        "big",
        runyard::tools::Effect::ReadOnly,
        move |_, _| {
            let text = big.clone();
            Box::pin(async move { Ok(super::script::fine(&text)) })
        },
    );
    stage.job.model.context_window = 20_000;
    let played = stage.run().await;
    played.assert_completed();
    for request in &played.sent {
        assert!(estimate_all(&request.messages) <= 16_000);
        assert_paired(&request.messages);
    }
    assert!(played.log.has("NOTICE_KIND_HISTORY_COMPACTED"));
}

#[tokio::test]
async fn missing_results_from_earlier_runs_are_filled_in() {
    let mut stage = Stage::new(vec![text("Done.")]).usual_tools();
    stage.job.history = vec![
        result("zz", "look", "an orphan"),
        user("Before."),
        assistant("", &[("a", "look", "{}"), ("b", "change", "{}")]),
        result("b", "change", "ok"),
        assistant("", &[]),
        user("Do it."),
    ];
    let played = stage.run().await;
    played.assert_completed();
    let sent = played.last_sent();
    assert_eq!(sent.len(), 5, "{sent:#?}");
    assert_paired(sent);
    let ChatMessage::Tool {
        tool_call_id,
        text,
        is_error,
        ..
    } = &sent[2]
    else {
        panic!("{sent:#?}")
    };
    assert!(tool_call_id == "a" && *is_error && text.contains("outcome unknown"));
}

#[tokio::test]
async fn a_run_whose_last_answer_was_recorded_is_complete() {
    let mut stage = Stage::new(vec![]).usual_tools();
    stage.job.history = vec![user("Do it."), assistant("Done.", &[])];
    stage.job.steps_done = 1;
    let played = stage.run().await;
    played.assert_completed();
    assert!(played.lines().is_empty() && played.sent.is_empty());
}

#[tokio::test]
async fn a_run_without_a_new_prompt_asks_the_model_to_continue() {
    let mut stage = Stage::new(vec![text("And so on.")]);
    stage.job.history = vec![user("Tell."), assistant("Once.", &[])];
    let played = stage.run().await;
    played.assert_completed();
    assert_eq!(played.last_sent()[2], user(&format!("{NOTE}Continue.")));
}

#[test]
fn the_system_prompt_has_its_parts() {
    let today = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
    let own = Prompt {
        agent: Some(" You count. "),
        sandbox: Some("Python 3.13"),
        has_tools: true,
        sections: &["A section.".to_owned(), String::new()],
        today,
    }
    .assemble();
    assert!(own.starts_with("You count.\n\nFiles:"), "{own}");
    assert!(
        own.contains("Python 3.13\n\nA section.\n\nToday")
            && own.contains("/workspace/output")
            && own.ends_with("Today is 2026-11-21.")
    );
    let default = Prompt {
        agent: Some("  "),
        sandbox: None,
        has_tools: false,
        sections: &[],
        today,
    }
    .assemble();
    assert!(default.starts_with(DEFAULT_SYSTEM_PROMPT));
    assert!(
        !default.contains("/workspace") && default.contains("no tools"),
        "{default}"
    );
}

/// Checks that exactly one result directly follows every call, and that every result belongs to a call.
#[track_caller]
fn assert_paired(messages: &[ChatMessage]) {
    let mut open: Vec<String> = Vec::new();
    for message in messages {
        match message {
            ChatMessage::Tool { tool_call_id, .. } => {
                let place = open.iter().position(|id| id == tool_call_id);
                open.remove(place.unwrap_or_else(|| panic!("a result without a call: {tool_call_id}")));
            }
            ChatMessage::Assistant { tool_calls, .. } => {
                assert!(open.is_empty(), "calls without results: {open:?}");
                open = tool_calls.iter().map(|call| call.id.clone()).collect();
            }
            ChatMessage::User { .. } => assert!(open.is_empty(), "calls without results: {open:?}"),
        }
    }
    assert!(open.is_empty(), "calls without results: {open:?}");
}

/// A random conversation: user messages, and answers with up to three calls and their results. All lengths are
/// random.
fn conversation() -> impl Strategy<Value = Vec<ChatMessage>> {
    let turn = (0_usize..4, 0_usize..6_000);
    proptest::collection::vec(turn, 1..30).prop_map(|turns| {
        let mut messages = vec![user("The first wish.")];
        for (number, (calls, size)) in turns.into_iter().enumerate() {
            if calls == 0 {
                messages.push(user(&"ü".repeat(size / 2)));
                continue;
            }
            let ids: Vec<String> = (0..calls).map(|call| format!("c{number}_{call}")).collect();
            let arguments = json!({"n": 1, "content": "y".repeat(size)}).to_string();
            let made: Vec<(&str, &str, &str)> =
                ids.iter().map(|id| (id.as_str(), "look", arguments.as_str())).collect();
            messages.push(assistant("", &made));
            messages.extend(ids.iter().map(|id| result(id, "look", &"é".repeat(size))));
        }
        messages
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn compaction_fits_and_never_separates_a_call_from_its_result(messages in conversation(), share in 1_u64..100) {
        let limit = (estimate_all(&messages) * share / 100).max(2_500);
        let compacted = compact(messages, limit);
        prop_assert!(estimate_all(&compacted.messages) <= limit, "{} > {limit}", estimate_all(&compacted.messages));
        prop_assert_eq!(&compacted.messages[0], &user("The first wish."));
        assert_paired(&compacted.messages);
        for message in &compacted.messages {
            if let ChatMessage::Assistant { tool_calls, .. } = message {
                for call in tool_calls {
                    prop_assert!(serde_json::from_str::<serde_json::Value>(&call.arguments).is_ok());
                }
            }
        }
    }
}
