//! Tests of model answers: deltas, finished messages, usage, broken streams, empty answers, size limits.

use std::sync::Arc;

use runyard::{
    engine::{self, Outcome, answer::MAX_TEXT_BYTES},
    llm::{ChatMessage, EndReason, LlmError, ReasoningEffort},
    v1::run_event::Event,
};
use serde_json::json;

use super::script::{Say, Stage, answer, assistant, call, carrying, text, user};

#[tokio::test]
async fn an_answer_is_streamed_as_it_arrives_and_recorded_with_its_usage() {
    let played = Stage::new(vec![answer(vec![Say::Reason("hm"), Say::Text("Hel"), Say::Text("lo")])])
        .usual_tools()
        .run()
        .await;
    played.assert_completed();
    assert_eq!(
        played.lines(),
        [
            "say reasoning \"hm\"",
            "say delta \"Hel\"",
            "say delta \"lo\"",
            "leave message \"Hello\" + usage 10/5"
        ]
    );
    let request = &played.sent[0];
    assert_eq!(
        (request.model.as_str(), request.system.as_str()),
        ("test/model", "Be brief.")
    );
    assert_eq!(request.messages, [user("Do it.")]);
    assert_eq!(request.max_output_tokens, 4_000);
    let names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["look", "change"]);
    let stored = played.log.stored.lock().unwrap().clone();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].message, assistant("Hello", &[]));
    assert!(!stored[0].partial);
    let id = stored[0].message_id.to_string();
    for event in played.log.events.lock().unwrap().iter() {
        match event {
            Event::MessageDelta(delta) => assert_eq!(delta.message_id, id),
            Event::ReasoningDelta(delta) => assert_eq!(delta.message_id, id),
            Event::Message(message) => assert_eq!(message.message_id, id),
            Event::Usage(usage) => assert_eq!(usage.model_name, "test/model"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_provider_retry_is_reported_as_a_notice() {
    let played = Stage::new(vec![answer(vec![Say::Retried("busy"), Say::Text("Hi")])])
        .run()
        .await;
    played.assert_completed();
    assert_eq!(played.lines()[0], "say notice NOTICE_KIND_PROVIDER_RETRIED");
}

fn broken(text: &'static str) -> Vec<Say> {
    vec![Say::Text(text), Say::Fail(LlmError::Broken("reset".to_owned()))]
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_requested_again_with_a_notice() {
    let played = Stage::new(vec![broken("Half"), text("Whole.")])
        .usual_tools()
        .run()
        .await;
    played.assert_completed();
    assert_eq!(
        played.lines(),
        [
            "say delta \"Half\"",
            "record message \"Half\" partial + usage 63/1 estimated + notice NOTICE_KIND_PROVIDER_RETRIED",
            "say delta \"Whole.\"",
            "leave message \"Whole.\" + usage 10/5"
        ]
    );
    assert_eq!(played.last_sent(), [user("Do it.")]);
    let stored = played.log.stored.lock().unwrap().clone();
    assert!(stored[0].partial && !stored[1].partial);
    assert_ne!(stored[0].message_id, stored[1].message_id);
}

#[tokio::test]
async fn reasoning_that_breaks_off_is_requested_again_without_a_message() {
    let half = vec![Say::Reason("Hm"), Say::Fail(LlmError::Broken("reset".to_owned()))];
    let played = Stage::new(vec![half, text("Whole.")]).usual_tools().run().await;
    played.assert_completed();
    assert_eq!(played.log.stored.lock().unwrap().len(), 1);
    assert!(
        played
            .log
            .has("record usage 63/1 estimated + notice NOTICE_KIND_PROVIDER_RETRIED")
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_three_times_fails_the_run() {
    let played = Stage::new(vec![broken("One"), broken("Two"), broken("Three")])
        .usual_tools()
        .run()
        .await;
    played.assert_failed(engine::MODEL_STREAM_BROKEN);
    let stored = played.log.stored.lock().unwrap().clone();
    assert!(stored.iter().all(|message| message.partial));
    assert_eq!(stored[2].message, assistant("Three", &[]));
    let notices = played
        .lines()
        .iter()
        .filter(|line| line.contains("PROVIDER_RETRIED"))
        .count();
    assert_eq!(notices, 2, "{:#?}", played.lines());
}

#[tokio::test]
async fn each_step_may_break_off_twice() {
    let step = |n: u32| answer(vec![call("a", "look", &json!({"n": n}))]);
    let turns = vec![
        broken("1"),
        broken("2"),
        step(1),
        broken("3"),
        broken("4"),
        text("Done."),
    ];
    let played = Stage::new(turns).usual_tools().run().await;
    played.assert_completed();
    assert!(played.log.has("tool look 1 ends"));
}

#[tokio::test]
async fn stop_ends_an_answer_that_is_requested_again() {
    let stage = Stage::new(vec![broken("Half"), vec![Say::Text("More"), Say::Hang]]);
    let (log, cancel) = (stage.log.clone(), stage.cancel.clone());
    let (played, ()) = tokio::join!(stage.run(), async {
        log.wait_for("delta \"More\"").await;
        cancel.cancel();
    });
    assert!(matches!(played.outcome, Outcome::Stopped), "{:?}", played.outcome);
}

#[tokio::test]
async fn a_carried_value_is_sent_back_and_stored_with_its_message() {
    let value = json!({"signature": "c2ln", "ids": ["x:1"]});
    let first = answer(vec![call("a", "look", &json!({"n": 1})), Say::Carry(value.clone())]);
    let played = Stage::new(vec![first, text("Done.")]).usual_tools().run().await;
    played.assert_completed();
    let wanted = carrying(assistant("", &[("a", "look", "{\"n\":1}")]), value);
    assert_eq!(played.last_sent()[1], wanted);
    let stored = played.log.stored.lock().unwrap().clone();
    assert_eq!(stored[0].message, wanted);
    assert_eq!(stored[2].message, assistant("Done.", &[]));
}

#[tokio::test]
async fn an_answer_whose_calls_are_ignored_carries_nothing() {
    let value = json!({"calls": 1});
    let last = answer(vec![
        Say::Text("No."),
        call("a", "look", &json!({"n": 1})),
        Say::Carry(value),
    ]);
    let played = Stage::new(vec![last]).run().await;
    played.assert_completed();
    assert_eq!(played.log.stored.lock().unwrap()[0].message, assistant("No.", &[]));
}

#[tokio::test]
async fn an_answer_of_reasoning_only_gets_more_room_once() {
    let thought = || vec![Say::Reason("hm"), Say::Usage(10, 4_000), Say::End(EndReason::Length)];
    let played = Stage::new(vec![thought(), text("So.")]).run().await;
    played.assert_completed();
    assert!(played.log.has("record usage 10/4000 + notice NOTICE_KIND_OTHER"));
    let limits: Vec<u32> = played.sent.iter().map(|request| request.max_output_tokens).collect();
    assert_eq!(limits, [4_000, 16_000]);
    assert_eq!(played.last_sent(), [user("Do it.")]);

    let played = Stage::new(vec![thought(), thought()]).run().await;
    played.assert_failed(engine::MODEL_EMPTY_ANSWER);
    let Outcome::Failed { message, .. } = &played.outcome else {
        panic!("{:?}", played.outcome)
    };
    assert!(message.contains("reasoning"), "{message}");
}

#[tokio::test]
async fn a_longer_answer_stays_within_the_window_and_the_credits() {
    let thought = || vec![Say::Reason("hm"), Say::Usage(10, 4_000), Say::End(EndReason::Length)];
    let mut stage = Stage::new(vec![thought(), text("So.")]);
    stage.job.model.context_window = 6_013;
    let played = stage.run().await;
    played.assert_completed();
    // The request has an estimated 13 tokens: 3 for "Be brief.", 2 for "Do it.", and 8 for the overhead of a message.
    // The rest of the window is 6,000 tokens.
    assert_eq!(played.sent[1].max_output_tokens, 6_000);

    let stage = Stage::new(vec![thought(), text("So.")]);
    stage.log.affordable.lock().unwrap().extend([Ok(5_000), Ok(5_000)]);
    let played = stage.run().await;
    played.assert_completed();
    assert_eq!(played.sent[1].max_output_tokens, 5_000);
}

#[tokio::test]
async fn the_reasoning_effort_of_the_run_is_in_every_request() {
    let first = answer(vec![call("a", "look", &json!({"n": 1}))]);
    let mut stage = Stage::new(vec![first, text("Done.")]).usual_tools();
    stage.job.reasoning_effort = Some(ReasoningEffort::Low);
    let played = stage.run().await;
    played.assert_completed();
    assert!(
        played
            .sent
            .iter()
            .all(|request| request.reasoning_effort == Some(ReasoningEffort::Low))
    );
}

#[tokio::test]
async fn calls_of_a_stream_without_an_end_are_not_run() {
    let cut = vec![Say::Text("I call"), Say::Call("a", "change", "{}".to_owned())];
    let played = Stage::new(vec![cut]).usual_tools().run().await;
    played.assert_failed(engine::MODEL_STREAM_BROKEN);
    assert!(!played.log.has("tool change"));
    assert_eq!(played.log.stored.lock().unwrap()[0].message, assistant("I call", &[]));
}

#[tokio::test]
async fn a_provider_that_never_answers_fails_the_run_with_its_reason() {
    let cases = [
        (
            LlmError::Credentials("401".to_owned()),
            engine::MODEL_CREDENTIALS_REFUSED,
        ),
        (LlmError::Refused("400".to_owned()), engine::MODEL_REFUSED),
        (LlmError::Blocked("hate".to_owned()), engine::MODEL_PROMPT_BLOCKED),
        (LlmError::Quota("429".to_owned()), engine::MODEL_QUOTA_EXHAUSTED),
        (LlmError::UnknownModel("404".to_owned()), engine::MODEL_UNKNOWN),
        (LlmError::Unavailable("503".to_owned()), engine::MODEL_UNAVAILABLE),
        (LlmError::Broken("eof".to_owned()), engine::MODEL_STREAM_BROKEN),
    ];
    for (error, code) in cases {
        let played = Stage::new(vec![vec![Say::Fail(error)]]).run().await;
        played.assert_failed(code);
        assert_eq!(played.lines(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn missing_and_implausible_usage_is_estimated() {
    let silent = vec![Say::Text("Hello"), Say::End(EndReason::Done)];
    let zero = vec![Say::Text("Hello"), Say::Usage(0, 0), Say::End(EndReason::Done)];
    let absurd = vec![Say::Text("Hello"), Say::Usage(1 << 63, 5), Say::End(EndReason::Done)];
    for turn in [silent, zero, absurd] {
        let played = Stage::new(vec![turn]).run().await;
        played.assert_completed();
        // The request has 13 tokens: 3 for "Be brief.", 2 for "Do it.", and 8 for the overhead of a message. "Hello"
        // has 2.
        assert_eq!(played.lines()[1], "leave message \"Hello\" + usage 13/2 estimated");
    }
}

#[tokio::test]
async fn an_empty_answer_is_retried_once() {
    let played = Stage::new(vec![answer(vec![Say::Text(" \n")]), text("Here.")])
        .run()
        .await;
    played.assert_completed();
    assert_eq!(
        played.lines(),
        [
            "say delta \" \\n\"",
            "record usage 10/5",
            "say delta \"Here.\"",
            "leave message \"Here.\" + usage 10/5"
        ]
    );
    let ChatMessage::User { text, .. } = &played.last_sent()[1] else {
        panic!("no note")
    };
    assert!(text.contains("empty"), "{text}");
}

#[tokio::test]
async fn two_empty_answers_fail_the_run() {
    let played = Stage::new(vec![answer(vec![]), answer(vec![Say::Reason("…")])])
        .run()
        .await;
    played.assert_failed(engine::MODEL_EMPTY_ANSWER);
    assert!(played.log.stored.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_at_its_length_limit_is_kept_with_a_notice() {
    let long = vec![Say::Text("Once upon"), Say::Usage(10, 5), Say::End(EndReason::Length)];
    let played = Stage::new(vec![long]).run().await;
    played.assert_completed();
    assert_eq!(
        played.lines()[1],
        "leave message \"Once upon\" + usage 10/5 + notice NOTICE_KIND_OTHER"
    );
}

#[tokio::test]
async fn a_refusal_without_text_fails_the_run() {
    let played = Stage::new(vec![vec![Say::Usage(10, 0), Say::End(EndReason::Refused)]])
        .run()
        .await;
    played.assert_failed(engine::MODEL_REFUSED);
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let megabytes = (0..40).map(|_| Say::LongText("é".repeat(50_001)));
    let played = Stage::new(vec![megabytes.chain([Say::Hang]).collect()]).run().await;
    played.assert_completed();
    let stored = played.log.stored.lock().unwrap().clone();
    let ChatMessage::Assistant { text, .. } = &stored[0].message else {
        panic!("no message")
    };
    assert!(
        text.len() <= MAX_TEXT_BYTES && text.len() > MAX_TEXT_BYTES - 8,
        "{}",
        text.len()
    );
    assert!(played.log.has("notice NOTICE_KIND_OTHER"));
}

#[tokio::test]
async fn nul_characters_in_text_are_replaced() {
    let played = Stage::new(vec![text("a\0b")]).run().await;
    played.assert_completed();
    assert_eq!(
        played.log.stored.lock().unwrap()[0].message,
        assistant("a\u{fffd}b", &[])
    );
}

#[tokio::test]
async fn stop_ends_a_stream_at_once_and_keeps_its_text() {
    let stage = Stage::new(vec![vec![Say::Text("Half"), Say::Hang]]);
    let (log, cancel) = (stage.log.clone(), stage.cancel.clone());
    let (played, ()) = tokio::join!(stage.run(), async {
        log.wait_for("delta \"Half\"").await;
        cancel.cancel();
    });
    assert!(matches!(played.outcome, Outcome::Stopped), "{:?}", played.outcome);
    assert!(
        played.lines()[1].starts_with("record message \"Half\" partial"),
        "{:?}",
        played.lines()
    );
}

#[tokio::test]
async fn stop_interrupts_a_stream_that_is_always_ready() {
    let stage = Stage::new(vec![vec![Say::Text("x")]]);
    let flood = Flood {
        cancel: stage.cancel.clone(),
    };
    let sink: Arc<dyn engine::Sink> = Arc::new(stage.log.clone());
    let running = engine::run(&flood, stage.job, sink, &stage.cancel);
    let outcome = tokio::time::timeout(std::time::Duration::from_secs(5), running)
        .await
        .unwrap();
    assert!(matches!(outcome, Outcome::Stopped), "{outcome:?}");
}

/// A model whose stream never ends. The model stops the run after a hundred events.
struct Flood {
    cancel: tokio_util::sync::CancellationToken,
}

#[async_trait::async_trait]
impl runyard::llm::Llm for Flood {
    async fn stream(&self, _: runyard::llm::ModelRequest) -> runyard::llm::ModelStream {
        let cancel = self.cancel.clone();
        let pieces = (0_u64..).map(move |number| {
            if number == 100 {
                cancel.cancel();
            }
            Ok(runyard::llm::ModelEvent::Reasoning(String::new()))
        });
        Box::pin(futures::stream::iter(pieces))
    }
}
