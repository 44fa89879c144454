//! Tests of tool calls: order, parallelism, ids, invalid calls, failures, panics, stops, interruptions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use runyard::{
    engine::{
        Error, Outcome,
        answer::{MAX_ARGUMENT_BYTES, MAX_CALLS, MAX_RECEIVED_CALLS},
        calls::{MAX_MISTAKES, MAX_RESULT_BYTES, MAX_SHOWN_BYTES},
        salvage,
    },
    error::Code,
    llm::ChatMessage,
    tools::{Effect, ToolFailure},
    v1::run_event::Event,
};
use serde_json::json;
use tokio::sync::Barrier;

use super::script::{Say, Stage, answer, assistant, call, failing, fine, request, result, text, user};

#[tokio::test]
async fn a_call_is_recorded_with_its_message_before_it_starts() {
    let first = answer(vec![Say::Text("I look."), call("a", "look", &json!({"n": 1}))]);
    let played = Stage::new(vec![first, text("Done.")]).usual_tools().run().await;
    played.assert_completed();
    assert_eq!(
        played.lines(),
        [
            "say delta \"I look.\"",
            "record message \"I look.\" + usage 10/5 + call a look",
            "tool look 1 starts",
            "tool look 1 ends",
            "record result a \"ok 1\"",
            "say delta \"Done.\"",
            "leave message \"Done.\" + usage 10/5",
        ]
    );
    let conversation = [
        user("Do it."),
        assistant("I look.", &[("a", "look", "{\"n\":1}")]),
        result("a", "look", "ok 1"),
    ];
    assert_eq!(played.last_sent(), conversation);
    let stored: Vec<ChatMessage> = played
        .log
        .stored
        .lock()
        .unwrap()
        .iter()
        .map(|stored| stored.message.clone())
        .collect();
    assert_eq!(stored[..2], conversation[1..]);
    let events = played.log.events.lock().unwrap().clone();
    let Some(Event::ToolCall(made)) = events.iter().find(|event| matches!(event, Event::ToolCall(_))) else {
        panic!("no call")
    };
    let fields = &made.arguments.as_ref().unwrap().fields;
    assert_eq!(fields["n"].kind, Some(prost_types::value::Kind::NumberValue(1.0)));
}

#[tokio::test]
async fn a_tool_does_not_start_when_its_call_cannot_be_recorded() {
    let stage = Stage::new(vec![answer(vec![call("a", "change", &json!({"n": 1}))])]).usual_tools();
    *stage.log.refuse_from.lock().unwrap() = Some(1);
    let played = stage.run().await;
    assert!(matches!(played.outcome, Outcome::Abandoned(_)), "{:?}", played.outcome);
    assert_eq!(played.lines(), ["refused"]);
}

#[tokio::test]
async fn read_only_calls_run_in_parallel_up_to_the_limit() {
    let barrier = Arc::new(Barrier::new(2));
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let calls = ["a", "b", "c", "d"].map(|id| call(id, "meet", &json!({"n": 1})));
    let mut stage = Stage::new(vec![answer(calls.into()), text("Done.")]);
    stage.job.budget.max_parallel_calls = 2;
    let peak = Arc::clone(&most);
    let stage = stage.tool("meet", Effect::ReadOnly, move |_, _| {
        let (barrier, now, most) = (Arc::clone(&barrier), Arc::clone(&now), Arc::clone(&most));
        Box::pin(async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Without parallelism, the first call would wait here until the test times out.
            barrier.wait().await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(fine("met"))
        })
    });
    let played = stage.run().await;
    played.assert_completed();
    assert_eq!(peak.load(Ordering::SeqCst), 2);
    let order: Vec<String> = played.last_sent()[2..].iter().map(id_of).collect();
    assert_eq!(order, ["a", "b", "c", "d"]);
}

fn id_of(message: &ChatMessage) -> String {
    let ChatMessage::Tool { tool_call_id, .. } = message else {
        panic!("{message:?}")
    };
    tool_call_id.clone()
}

#[tokio::test]
async fn calls_with_side_effects_run_one_at_a_time_in_order() {
    let calls = answer(vec![
        call("a", "change", &json!({"n": 1})),
        call("b", "look", &json!({"n": 2})),
        call("c", "change", &json!({"n": 3})),
        call("d", "change", &json!({"n": 4})),
    ]);
    let slow = |arguments: serde_json::Value, _: &runyard::tools::ToolContext| {
        let run: futures::future::BoxFuture<'static, _> = Box::pin(async move {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            Ok(fine(&format!("ok {}", arguments["n"])))
        });
        run
    };
    let played = Stage::new(vec![calls, text("Done.")])
        .tool("look", Effect::ReadOnly, slow)
        .tool("change", Effect::Changes, slow)
        .run()
        .await;
    played.assert_completed();
    let lines = played.lines();
    assert_eq!(
        lines[1..13],
        [
            "tool change 1 starts",
            "tool change 1 ends",
            "record result a \"ok 1\"",
            "tool look 2 starts",
            "tool look 2 ends",
            "record result b \"ok 2\"",
            "tool change 3 starts",
            "tool change 3 ends",
            "record result c \"ok 3\"",
            "tool change 4 starts",
            "tool change 4 ends",
            "record result d \"ok 4\"",
        ]
    );
}

#[tokio::test]
async fn ids_are_made_unique_within_the_thread() {
    let turn = |n: u64| {
        answer(vec![
            call("x", "look", &json!({"n": n})),
            call("", "look", &json!({"n": n + 1})),
        ])
    };
    let mut stage = Stage::new(vec![turn(1), turn(3), text("Done.")]).usual_tools();
    stage.job.history = vec![
        user("Before."),
        assistant("", &[("x", "look", "{}")]),
        result("x", "look", "ok"),
        user("Do it."),
    ];
    let played = stage.run().await;
    played.assert_completed();
    let mut ids: Vec<String> = Vec::new();
    for message in played.last_sent() {
        if let ChatMessage::Assistant { tool_calls, .. } = message {
            ids.extend(tool_calls.iter().map(|call| call.id.clone()));
        }
    }
    assert_eq!(ids.len(), 5);
    let unique: std::collections::HashSet<&String> = ids.iter().collect();
    assert_eq!(unique.len(), 5, "{ids:?}");
    let results: Vec<String> = played
        .last_sent()
        .iter()
        .filter(|message| matches!(message, ChatMessage::Tool { .. }))
        .map(id_of)
        .collect();
    assert_eq!(results, ids);
}

#[tokio::test]
async fn the_same_failing_call_twice_in_a_row_ends_tool_use() {
    let fails = || answer(vec![call("f", "fail", &json!({"n": 1}))]);
    let second = answer(vec![
        call("g", "fail", &json!({"n": 1})),
        call("h", "change", &json!({"n": 2})),
    ]);
    let played = Stage::new(vec![fails(), second, text("I could not.")])
        .usual_tools()
        .failing_tool()
        .run()
        .await;
    played.assert_completed();
    let lines = played.lines();
    let at = lines
        .iter()
        .position(|line| line.contains("NOTICE_KIND_TOOLS_ENDED"))
        .expect("no notice");
    assert_eq!(
        lines[at],
        "record result h error \"not run: you can no longer call tools\" + notice NOTICE_KIND_TOOLS_ENDED"
    );
    assert!(
        !played.log.has("tool change"),
        "the call after the failing one must not run"
    );
    let last = played.sent.last().unwrap();
    assert!(last.tools.is_empty());
    let Some(ChatMessage::User { text, .. }) = last.messages.last() else {
        panic!("no explanation")
    };
    assert!(text.contains("failed twice in a row"), "{text}");
    // Only the model receives the user message that explains the end of tool use. The thread does not store it.
    assert!(
        played
            .log
            .stored
            .lock()
            .unwrap()
            .iter()
            .all(|stored| !matches!(stored.message, ChatMessage::User { .. }))
    );
}

#[tokio::test]
async fn different_or_non_consecutive_failing_calls_do_not_end_tool_use() {
    let turn = |n: u64| answer(vec![call("f", "fail", &json!({"n": n}))]);
    let looks = answer(vec![call("l", "look", &json!({"n": 0}))]);
    let turns = vec![turn(1), turn(2), looks, turn(2), turn(1), text("Done.")];
    let played = Stage::new(turns).usual_tools().failing_tool().run().await;
    played.assert_completed();
    assert!(!played.log.has("NOTICE_KIND_TOOLS_ENDED"));
    assert!(!played.sent.last().unwrap().tools.is_empty());
}

#[tokio::test]
async fn repeated_failures_are_counted_per_answer() {
    let fails = |id| call(id, "fail", &json!({"n": 1}));
    // Two failures in one answer do not count as a repetition. Between two failures, a read-only call does not reset
    // the count, but a call with side effects resets it.
    let twice = vec![answer(vec![fails("a"), fails("b")]), text("Done.")];
    let played = Stage::new(twice).usual_tools().failing_tool().run().await;
    played.assert_completed();
    assert!(!played.log.has("NOTICE_KIND_TOOLS_ENDED"));

    let with = |name| answer(vec![fails("a"), call("b", name, &json!({"n": 2}))]);
    let looking = vec![with("look"), with("look"), text("Done.")];
    let played = Stage::new(looking).usual_tools().failing_tool().run().await;
    played.assert_completed();
    assert!(played.log.has("NOTICE_KIND_TOOLS_ENDED"), "{:#?}", played.lines());

    let changing = vec![with("change"), answer(vec![fails("a")]), text("Done.")];
    let played = Stage::new(changing).usual_tools().failing_tool().run().await;
    played.assert_completed();
    assert!(!played.log.has("NOTICE_KIND_TOOLS_ENDED"), "{:#?}", played.lines());
}

#[tokio::test]
async fn the_model_is_told_why_a_call_is_invalid() {
    let cases = [
        ("look", "{\"n\": 1", "not valid JSON"),
        ("look", "[1]", "must be a JSON object"),
        ("look", "{\"n\": \"one\"}", "do not match the schema of look: /n:"),
        ("look", "{\"m\": 1}", "do not match the schema"),
        (
            "lock",
            "{\"n\": 1}",
            "there is no tool named \"lock\"; the tools are look, change",
        ),
    ];
    for (name, arguments, told) in cases {
        let turn = answer(vec![Say::Call("a", name, arguments.to_owned())]);
        let played = Stage::new(vec![turn, text("Sorry.")]).usual_tools().run().await;
        played.assert_completed();
        let (text, is_error) = played.last_result();
        assert!(is_error && text.contains(told), "{arguments}: {text}");
        assert!(!played.log.has("starts"), "{arguments}");
    }
    // Control: a call with valid arguments runs. The arguments may also be absent, or encoded as a JSON string.
    for arguments in ["{\"n\": 1}", "", "\"{\\\"n\\\": 1}\""] {
        let turn = answer(vec![Say::Call("a", "look", arguments.to_owned())]);
        let played = Stage::new(vec![turn, text("Done.")]).usual_tools().run().await;
        played.assert_completed();
        assert!(played.log.has("starts"), "{arguments}");
    }
}

#[tokio::test]
async fn the_event_of_a_call_with_invalid_json_carries_the_text() {
    let turn = answer(vec![Say::Call("a", "look", "{oops".to_owned())]);
    let played = Stage::new(vec![turn, text("Sorry.")]).usual_tools().run().await;
    assert!(played.log.has("call a look invalid \"{oops\""), "{:#?}", played.lines());
    let deep = format!("{{\"n\": {}1{}}}", "[".repeat(60), "]".repeat(60));
    let turn = answer(vec![Say::Call("a", "look", deep)]);
    let played = Stage::new(vec![turn, text("Sorry.")]).usual_tools().run().await;
    assert!(played.log.has("call a look invalid"), "{:#?}", played.lines());
}

#[tokio::test]
async fn tool_use_ends_after_too_many_invalid_calls() {
    let wrong = |n: u32| answer(vec![call("a", "lost", &json!({"n": n}))]);
    let mut turns: Vec<_> = (0..MAX_MISTAKES).map(wrong).collect();
    turns.push(text("I give up."));
    let played = Stage::new(turns).usual_tools().run().await;
    played.assert_completed();
    assert!(played.log.has("NOTICE_KIND_TOOLS_ENDED"));
    assert!(played.sent.last().unwrap().tools.is_empty());
}

#[tokio::test]
async fn json_in_plain_text_that_names_a_tool_is_a_call() {
    let texts = [
        "{\"name\": \"look\", \"arguments\": {\"n\": 7}}",
        "```json\n{\"name\": \"look\", \"arguments\": {\"n\": 7}}\n```",
        "I will look.\n\n```\n{\"tool\": \"look\", \"parameters\": {\"n\": 7}}\n```\n",
        "[{\"name\": \"look\", \"arguments\": \"{\\\"n\\\": 7}\"}]",
        "<tool_call>\n{\"name\": \"look\", \"arguments\": {\"n\": 7}}\n</tool_call>",
        "{\"type\": \"function\", \"function\": {\"name\": \"look\", \"arguments\": \"{\\\"n\\\":7}\"}}",
    ];
    for said in texts {
        let played = Stage::new(vec![text(said), text("Done.")]).usual_tools().run().await;
        played.assert_completed();
        assert!(played.log.has("tool look 7 starts"), "{said}: {:#?}", played.lines());
        assert!(played.log.has("call call_1 look"), "{said}: {:#?}", played.lines());
    }
}

#[tokio::test]
async fn other_json_in_plain_text_stays_text() {
    let texts = [
        "{\"name\": \"lock\", \"arguments\": {\"n\": 7}}",
        "{\"name\": \"look\"}",
        "{\"name\": \"look\", \"arguments\": {\"n\": 7}, \"age\": 3}",
        "{\"name\": \"Ann\", \"input\": {}}",
        "Such a call is ```json\n{\"name\": \"look\", \"arguments\": {\"n\": 7}}\n``` and runs.",
        "look",
        "```",
        "``````",
    ];
    for said in texts {
        let played = Stage::new(vec![text(said)]).usual_tools().run().await;
        played.assert_completed();
        assert!(!played.log.has("starts"), "{said}");
    }
}

#[test]
fn two_closing_blocks_are_two_calls_in_order() {
    let block = |n: u32| format!("```json\n{{\"name\": \"look\", \"arguments\": {{\"n\": {n}}}}}\n```");
    let said = format!("Both:\n{}\n{}", block(1), block(2));
    let calls = salvage::calls(&said, |name| name == "look");
    let arguments: Vec<&str> = calls.iter().map(|call| call.arguments.as_str()).collect();
    assert_eq!(arguments, ["{\"n\":1}", "{\"n\":2}"]);
}

#[tokio::test]
async fn a_native_call_takes_precedence_over_json_in_the_text() {
    let turn = answer(vec![
        Say::Text("{\"name\": \"look\", \"arguments\": {\"n\": 7}}"),
        call("a", "look", &json!({"n": 8})),
    ]);
    let played = Stage::new(vec![turn, text("Done.")]).usual_tools().run().await;
    played.assert_completed();
    assert!(played.log.has("tool look 8 starts") && !played.log.has("tool look 7 starts"));
}

#[tokio::test]
async fn calls_beyond_the_per_answer_limit_are_answered_but_not_run() {
    let calls = (0..100).map(|n| call("", "look", &json!({"n": n}))).collect();
    let played = Stage::new(vec![answer(calls), text("Done.")]).usual_tools().run().await;
    played.assert_completed();
    let started = played.lines().iter().filter(|line| line.ends_with("starts")).count();
    assert_eq!(started, MAX_CALLS);
    let results = played
        .last_sent()
        .iter()
        .filter(|message| matches!(message, ChatMessage::Tool { .. }))
        .count();
    assert_eq!(results, MAX_RECEIVED_CALLS);
    assert!(
        played.last_result().0.contains("up to 32 tools"),
        "{:?}",
        played.last_result()
    );
    assert!(played.log.has("notice NOTICE_KIND_OTHER"));
}

#[tokio::test]
async fn arguments_that_are_too_long_are_cut_and_refused() {
    let long = format!("{{\"n\": \"{}\"}}", "x".repeat(MAX_ARGUMENT_BYTES));
    let played = Stage::new(vec![answer(vec![Say::Call("a", "look", long)]), text("Done.")])
        .usual_tools()
        .run()
        .await;
    played.assert_completed();
    assert!(
        played.last_result().0.contains("bytes long"),
        "{:?}",
        played.last_result()
    );
    let ChatMessage::Assistant { tool_calls, .. } = &played.last_sent()[1] else {
        panic!("no call")
    };
    assert!(tool_calls[0].arguments.len() <= 1024);
}

#[tokio::test]
async fn a_panic_in_a_tool_is_contained() {
    let turn = answer(vec![
        call("a", "panic", &json!({})),
        call("b", "look", &json!({"n": 1})),
    ]);
    let played = Stage::new(vec![turn, text("Done.")])
        .usual_tools()
        .tool("panic", Effect::Changes, |_, _| Box::pin(async { panic!("a bug") }))
        .run()
        .await;
    played.assert_completed();
    assert!(
        played
            .log
            .has("record result a error \"the tool failed because of an internal error"),
        "{:#?}",
        played.lines()
    );
    assert!(played.log.has("record result b \"ok 1\""));
}

#[tokio::test]
async fn a_fatal_failure_ends_the_run_and_answers_the_other_calls() {
    let turn = answer(vec![
        call("a", "fatal", &json!({})),
        call("b", "change", &json!({"n": 1})),
    ]);
    let played = Stage::new(vec![turn])
        .usual_tools()
        .tool("fatal", Effect::Changes, |_, _| {
            Box::pin(async { Err(ToolFailure::Fatal(Error::new(Code::Unavailable, "the disk is gone"))) })
        })
        .run()
        .await;
    played.assert_failed("UNAVAILABLE");
    assert!(played.log.has("record result a error"));
    assert!(played.log.has("record result b error \"not run"));
    assert!(!played.log.has("tool change"));
}

#[tokio::test]
async fn tool_output_is_streamed_up_to_a_limit() {
    let turn = answer(vec![call("a", "talk", &json!({}))]);
    let played = Stage::new(vec![turn, text("Done.")])
        .tool("talk", Effect::Changes, |_, context| {
            (context.output)("one\n".to_owned());
            for _ in 0..20 {
                (context.output)("x".repeat(100_000));
            }
            Box::pin(async { Ok(fine(&"y".repeat(2_000_000))) })
        })
        .run()
        .await;
    played.assert_completed();
    assert_eq!(played.lines()[2], "say output a \"one\\n\"");
    let events = played.log.events.lock().unwrap().clone();
    let outputs: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::ToolOutput(output) => Some(output.text.as_str()),
            _ => None,
        })
        .collect();
    let shown: usize = outputs.iter().map(|text| text.len()).sum();
    assert!((MAX_SHOWN_BYTES..MAX_SHOWN_BYTES + 100).contains(&shown), "{shown}");
    assert!(outputs.last().unwrap().contains("more output is not shown"));
    let (text, _) = played.last_result();
    assert!(
        text.len() <= MAX_RESULT_BYTES && text.contains("bytes left out"),
        "{}",
        text.len()
    );
}

#[tokio::test]
async fn stop_ends_a_running_tool_and_answers_every_call() {
    let turn = answer(vec![
        call("a", "wait", &json!({"n": 1})),
        call("b", "change", &json!({"n": 2})),
    ]);
    let stage = Stage::new(vec![turn])
        .usual_tools()
        .tool("wait", Effect::Changes, |_, context| {
            let cancel = context.cancel.clone();
            Box::pin(async move {
                cancel.cancelled().await;
                Ok(failing("the command was cancelled"))
            })
        });
    let (log, cancel) = (stage.log.clone(), stage.cancel.clone());
    let (played, ()) = tokio::join!(stage.run(), async {
        log.wait_for("tool wait 1 starts").await;
        cancel.cancel();
    });
    assert!(matches!(played.outcome, Outcome::Stopped), "{:?}", played.outcome);
    assert_eq!(
        played.lines()[2..],
        [
            "tool wait 1 ends",
            "record result a error \"the command was cancelled\"",
            "record result b error \"not run: the run was stopped\"",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_ignores_the_stop_is_abandoned() {
    let stage =
        Stage::new(vec![answer(vec![call("a", "deaf", &json!({"n": 1}))])])
            .tool("deaf", Effect::Changes, |_, _| Box::pin(std::future::pending()));
    let (log, cancel) = (stage.log.clone(), stage.cancel.clone());
    let started = tokio::time::Instant::now();
    let (played, ()) = tokio::join!(stage.run(), async {
        log.wait_for("tool deaf 1 starts").await;
        cancel.cancel();
    });
    assert!(matches!(played.outcome, Outcome::Stopped), "{:?}", played.outcome);
    assert!(
        played.log.has("record result a error \"stopped: the tool did not end"),
        "{:#?}",
        played.lines()
    );
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn interrupted_calls_are_repeated_only_when_read_only() {
    let mut stage = Stage::new(vec![text("Done.")]).usual_tools();
    stage.job.history = vec![
        user("Do it."),
        assistant(
            "",
            &[
                ("a", "look", "{\"n\":1}"),
                ("b", "change", "{\"n\":2}"),
                ("c", "look", "{\"n\":3}"),
            ],
        ),
        result("c", "look", "ok 3"),
    ];
    stage.job.interrupted = vec![
        request("a", "look", "{\"n\":1}"),
        request("b", "change", "{\"n\":2}"),
        request("c", "look", "{\"n\":3}"),
    ];
    stage.job.steps_done = 1;
    let played = stage.run().await;
    played.assert_completed();
    let lines = played.lines();
    assert_eq!(lines[..2], ["tool look 1 starts", "tool look 1 ends"]);
    assert!(
        lines[2].starts_with("record result a \"ok 1\" + result b error \"interrupted, outcome unknown"),
        "{lines:#?}"
    );
    assert!(!played.log.has("tool change") && !played.log.has("tool look 3"));
    let order: Vec<String> = played.last_sent()[2..].iter().map(id_of).collect();
    assert_eq!(order, ["a", "b", "c"]);
}
