//! Tests of runs whose final answer must match a JSON schema.

use runyard::{
    engine::{self, AddedMessage, Outcome, output::OutputForm},
    llm::{ChatMessage, LlmError},
    v1::{NoticeKind, run_event::Event},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::script::{Log, Played, Say, Stage, answer, assistant, call, result, text, user};

const VALID: &str = r#"{"total": 3}"#;
const WORDS: &str = "The total is three.";
const WRONG: &str = r#"{"total": "three"}"#;

fn schema() -> Value {
    json!({"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]})
}

/// Sets the schema. `answers` is the number of final answers that an earlier worker has recorded.
fn with_output(mut stage: Stage, model: &str, answers: u32) -> Stage {
    model.clone_into(&mut stage.job.model.name);
    stage.job.output = Some(OutputForm::new(schema(), answers).unwrap());
    stage
}

#[track_caller]
fn assert_output(played: &Played) {
    played.assert_completed();
    let Outcome::Completed { output, .. } = &played.outcome else {
        panic!("{:?}", played.outcome)
    };
    assert_eq!(output, &Some(json!({"total": 3})));
}

fn notices(log: &Log) -> Vec<String> {
    let events = log.events.lock().unwrap();
    let notice = |event: &Event| match event {
        Event::Notice(notice) if notice.kind() == NoticeKind::Other => Some(notice.message.clone()),
        _ => None,
    };
    events.iter().filter_map(notice).collect()
}

/// For each request, whether it contains the schema and the number of its tools.
fn sent(played: &Played) -> Vec<(bool, usize)> {
    let requests = played.sent.iter();
    requests
        .map(|request| (request.output.is_some(), request.tools.len()))
        .collect()
}

#[tokio::test]
async fn the_prompt_contains_the_schema_and_the_answer_becomes_the_output() {
    let look = answer(vec![call("a", "look", &json!({"n": 1}))]);
    let stage = Stage::new(vec![look, text("Here it is:\n```json\n{\"total\": 3}\n```")]).usual_tools();
    let played = with_output(stage, "test/model", 0).run().await;
    assert_output(&played);
    assert!(played.sent[0].system.contains(&schema().to_string()));
    assert_eq!(sent(&played), [(false, 2), (false, 2)]);
    assert_eq!(notices(&played.log), [""; 0]);
    let free = Stage::new(vec![text(WORDS)]).run().await;
    assert!(
        matches!(free.outcome, Outcome::Completed { output: None, .. }),
        "{:?}",
        free.outcome
    );
    assert!(!free.sent[0].system.contains("JSON"));
}

#[tokio::test]
async fn a_request_contains_the_schema_if_the_provider_supports_it() {
    let turns = || {
        vec![
            answer(vec![call("a", "look", &json!({"n": 1}))]),
            text(WORDS),
            text(VALID),
        ]
    };
    let native = with_output(Stage::new(turns()).usual_tools(), "test/native", 0)
        .run()
        .await;
    assert_output(&native);
    assert_eq!(sent(&native), [(true, 2), (true, 2), (true, 0)]);
    let without = with_output(Stage::new(turns()).usual_tools(), "test/native-without-tools", 0);
    let without = without.run().await;
    assert_output(&without);
    assert_eq!(sent(&without), [(false, 2), (false, 2), (true, 0)]);
}

#[tokio::test]
async fn an_invalid_answer_is_repaired_with_its_errors() {
    let stage = Stage::new(vec![text(WRONG), text(VALID)]).usual_tools();
    let played = with_output(stage, "test/model", 0).run().await;
    assert_output(&played);
    let [before, invalid, note] = played.last_sent() else {
        panic!("{:?}", played.last_sent())
    };
    assert_eq!((before, invalid), (&user("Do it."), &assistant(WRONG, &[])));
    let ChatMessage::User { text: note, .. } = note else {
        panic!("{note:?}")
    };
    assert!(note.contains("/total: \"three\" is not of type \"integer\""), "{note}");
    let notices = notices(&played.log);
    assert!(
        notices.len() == 1 && notices[0].contains("repair 1 of 2") && notices[0].contains("/total"),
        "{notices:?}"
    );
    let stored = played.log.stored.lock().unwrap();
    assert_eq!(stored.len(), 2, "{stored:?}");
}

#[tokio::test]
async fn a_run_fails_after_two_repairs() {
    let stage = Stage::new(vec![text(WORDS), text(WRONG), text("{}")]).usual_tools();
    let played = with_output(stage, "test/model", 0).run().await;
    played.assert_failed(engine::INVALID_OUTPUT);
    let Outcome::Failed { message, .. } = &played.outcome else {
        panic!("{:?}", played.outcome)
    };
    assert!(message.contains("\"total\" is a required property"), "{message}");
    assert_eq!(notices(&played.log).len(), 2);
    assert_eq!(sent(&played), [(false, 2), (false, 0), (false, 0)]);
    assert!(played.log.has("leave message \"{}\""), "{:#?}", played.lines());
}

#[tokio::test]
async fn a_refused_schema_is_only_in_the_prompt_for_the_rest_of_the_run() {
    let refused = || vec![Say::Fail(LlmError::Refused("HTTP 400: no response_format".to_owned()))];
    let look = answer(vec![call("a", "look", &json!({"n": 1}))]);
    let stage = Stage::new(vec![refused(), look, text(WORDS), text(VALID)]).usual_tools();
    let played = with_output(stage, "test/native", 0).run().await;
    assert_output(&played);
    assert_eq!(sent(&played), [(true, 2), (false, 2), (false, 2), (false, 0)]);
    let notices = notices(&played.log);
    assert!(
        notices.len() == 2 && notices[0].contains("no response_format") && notices[1].contains("repair 1"),
        "{notices:?}"
    );
    let again = Stage::new(vec![refused(), refused()]);
    let again = with_output(again, "test/native", 0).run().await;
    again.assert_failed(engine::MODEL_REFUSED);
    let plain = with_output(Stage::new(vec![refused()]), "test/model", 0).run().await;
    plain.assert_failed(engine::MODEL_REFUSED);
}

#[tokio::test]
async fn the_last_step_asks_for_the_object() {
    let look = answer(vec![call("a", "look", &json!({"n": 1}))]);
    let mut stage = with_output(
        Stage::new(vec![look, text(WORDS), text(VALID)]).usual_tools(),
        "test/native",
        0,
    );
    stage.job.budget.max_steps = 1;
    let played = stage.run().await;
    assert_output(&played);
    assert_eq!(sent(&played), [(true, 2), (true, 0), (true, 0)]);
    let Some(ChatMessage::User { text: note, .. }) = played.sent[1].messages.last() else {
        panic!("no note")
    };
    assert!(note.contains("JSON object"), "{note}");
}

#[tokio::test]
async fn repairs_count_as_steps_of_the_budget() {
    let mut stage = with_output(Stage::new(vec![text(WORDS), text(WRONG)]), "test/model", 0);
    stage.job.budget.own_steps = Some(2);
    let played = stage.run().await;
    assert!(matches!(played.outcome, Outcome::BudgetSpent), "{:?}", played.outcome);
    assert_eq!(played.left, 0);
}

/// The earlier worker recorded these answers, but not the end of the run. The last message of `history` is its last answer.
fn resumed(answers: &[&str], turns: Vec<Vec<Say>>) -> Stage {
    let mut stage = with_output(Stage::new(turns), "test/model", u32::try_from(answers.len()).unwrap());
    stage.job.history = vec![
        user("Do it."),
        assistant("", &[("a", "look", r#"{"n": 1}"#)]),
        result("a", "look", "ok 1"),
    ];
    stage
        .job
        .history
        .extend(answers.iter().map(|answer| assistant(answer, &[])));
    stage.job.steps_done = 1 + u32::try_from(answers.len()).unwrap();
    stage
}

#[tokio::test]
async fn a_resumed_run_comes_to_the_same_end() {
    for answers in [&[VALID][..], &[WORDS, VALID], &[WORDS, WRONG, VALID]] {
        let played = resumed(answers, Vec::new()).run().await;
        assert_output(&played);
        assert!(
            played.sent.is_empty() && played.lines().is_empty(),
            "{:#?}",
            played.lines()
        );
    }
    let failed = resumed(&[WORDS, WRONG, "{}"], Vec::new()).run().await;
    failed.assert_failed(engine::INVALID_OUTPUT);
    assert!(failed.sent.is_empty());
    let repaired = resumed(&[WRONG], vec![text(VALID)]).run().await;
    assert_output(&repaired);
    assert!(format!("{:?}", repaired.last_sent().last()).contains("is not of type"));
    assert_eq!(
        notices(&repaired.log),
        [""; 0],
        "the earlier worker has recorded the notice"
    );
    let failed = resumed(&[WORDS, WRONG], vec![text("{}")]).run().await;
    failed.assert_failed(engine::INVALID_OUTPUT);
    let last = resumed(&[WORDS], vec![text(WRONG), text(VALID)]).run().await;
    assert_output(&last);
    assert!(notices(&last.log)[0].contains("repair 2 of 2"));
}

#[tokio::test]
async fn a_message_directly_after_a_valid_answer_leads_to_another_answer() {
    let turns = vec![text(VALID), text(WRONG), text(r#"{"total": 4}"#)];
    let stage = with_output(Stage::new(turns).usual_tools(), "test/model", 0);
    stage.log.late.lock().unwrap().push(AddedMessage {
        message_id: Uuid::now_v7(),
        text: "Count again.".to_owned(),
    });
    let played = stage.run().await;
    played.assert_completed();
    let Outcome::Completed { output, .. } = &played.outcome else {
        panic!("{:?}", played.outcome)
    };
    assert_eq!(output, &Some(json!({"total": 4})));
    let expected = [user("Do it."), assistant(VALID, &[]), user("Count again.")];
    assert_eq!(played.sent[1].messages, expected);
    // The model may call tools again, and the second answer is repaired like the first.
    assert_eq!(sent(&played), [(false, 2), (false, 2), (false, 0)]);
    assert!(notices(&played.log)[0].contains("repair 1 of 2"));
    let lines = played.lines();
    let place = |part: &str| lines.iter().position(|line| line.contains(part));
    assert!(place("leave") < place("Count again."), "{lines:#?}");
}
