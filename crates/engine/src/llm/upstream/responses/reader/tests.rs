//! Tests of [`ResponseReader`] with streams of OpenAI and of compatible servers.

use serde_json::{Value, json};

use super::super::super::reading::{Answer, read, read_whole};
use super::{EndReason, Fault, ResponseReader, TokenUsage};

fn event(kind: &'static str, mut data: Value) -> (&'static str, Value) {
    data["type"] = json!(kind);
    (kind, data)
}

fn text(text: &str) -> (&'static str, Value) {
    event(
        "response.output_text.delta",
        json!({"output_index": 1, "item_id": "msg_1", "content_index": 0, "delta": text}),
    )
}

fn added(index: u32, item: &Value) -> (&'static str, Value) {
    event(
        "response.output_item.added",
        json!({"output_index": index, "item": item}),
    )
}

fn done(index: u32, item: &Value) -> (&'static str, Value) {
    event(
        "response.output_item.done",
        json!({"output_index": index, "item": item}),
    )
}

fn completed(output: &Value) -> (&'static str, Value) {
    let usage = json!({
        "input_tokens": 50, "input_tokens_details": {"cached_tokens": 40},
        "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 6},
    });
    event(
        "response.completed",
        json!({"response": {"status": "completed", "output": output, "usage": usage, "error": null}}),
    )
}

fn reasoning() -> Value {
    json!({
        "type": "reasoning", "id": "rs_1", "encrypted_content": "ENC",
        "summary": [{"type": "summary_text", "text": "hm"}],
    })
}

fn message() -> Value {
    json!({
        "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "I look.", "annotations": []}],
    })
}

fn call() -> Value {
    json!({
        "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "bash",
        "arguments": "{\"command\":\"ls\"}", "status": "completed",
    })
}

fn answer(events: &[(&str, Value)]) -> Answer {
    read(ResponseReader::default(), events).unwrap()
}

fn failure(events: &[(&str, Value)]) -> Fault {
    read(ResponseReader::default(), events).unwrap_err()
}

#[test]
fn reasoning_text_and_calls_are_read_and_carried_in_order() {
    let open = json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "bash", "arguments": ""});
    let arguments = |delta: &str| {
        event(
            "response.function_call_arguments.delta",
            json!({"output_index": 2, "item_id": "fc_1", "delta": delta}),
        )
    };
    let read = answer(&[
        event(
            "response.created",
            json!({"response": {"status": "in_progress", "error": null}}),
        ),
        added(0, &json!({"type": "reasoning", "id": "rs_1", "summary": []})),
        event(
            "response.reasoning_summary_part.added",
            json!({"output_index": 0, "summary_index": 0}),
        ),
        event(
            "response.reasoning_summary_text.delta",
            json!({"output_index": 0, "delta": "hm"}),
        ),
        done(0, &reasoning()),
        added(1, &json!({"type": "message", "id": "msg_1", "content": []})),
        text("I "),
        text("look."),
        event(
            "response.output_text.done",
            json!({"output_index": 1, "content_index": 0, "text": "I look."}),
        ),
        done(1, &message()),
        added(2, &open),
        arguments("{\"command\":"),
        arguments("\"ls\"}"),
        event(
            "response.function_call_arguments.done",
            json!({"output_index": 2, "arguments": "{\"command\":\"ls\"}"}),
        ),
        done(2, &call()),
        completed(&json!([reasoning(), message(), call()])),
    ]);
    assert_eq!(
        (read.text.as_str(), read.reasoning.as_str(), read.skipped),
        ("I look.", "hm", 0)
    );
    assert_eq!(read.calls(), [("call_1", "bash", "{\"command\":\"ls\"}")]);
    let usage = TokenUsage {
        input: 50,
        output: 9,
        cached_input: 40,
    };
    assert_eq!((read.usage, read.end), (Some(usage), Some(EndReason::Done)));
    assert_eq!(read.carried, Some(json!([reasoning(), message(), call()])));
}

#[test]
fn imitators_may_send_only_the_items_or_only_the_response() {
    let output = json!([reasoning(), message(), call()]);
    for events in [
        vec![completed(&output)],
        vec![
            done(0, &reasoning()),
            done(1, &message()),
            done(2, &call()),
            completed(&json!([])),
        ],
        vec![
            done(0, &reasoning()),
            done(1, &message()),
            done(2, &call()),
            completed(&output),
        ],
        vec![text("I look."), completed(&output)],
        vec![
            event("response.output_text.delta", json!({"delta": "I look."})),
            completed(&output),
        ],
    ] {
        let read = answer(&events);
        assert_eq!(
            (read.text.as_str(), read.reasoning.as_str()),
            ("I look.", "hm"),
            "{events:?}"
        );
        assert_eq!(read.calls(), [("call_1", "bash", "{\"command\":\"ls\"}")]);
    }
}

#[test]
fn reasoning_that_the_provider_cannot_read_is_not_carried() {
    let summary = json!({"type": "reasoning", "id": "rs_1", "encrypted_content": null, "summary": [{"text": "hm"}]});
    let read = answer(&[completed(&json!([summary, call()]))]);
    let mut bare = call();
    bare.as_object_mut().unwrap().remove("id");
    assert_eq!(read.carried, Some(json!([bare])));
    assert_eq!(answer(&[completed(&json!([message(), call()]))]).carried, None);
}

#[test]
fn known_endings_end_an_answer() {
    let incomplete = |reason: &str| {
        event(
            "response.incomplete",
            json!({"response": {"status": "incomplete", "incomplete_details": {"reason": reason}, "output": []}}),
        )
    };
    assert_eq!(
        answer(&[text("Hi"), incomplete("max_output_tokens")]).end,
        Some(EndReason::Length)
    );
    assert_eq!(
        answer(&[text("Hi"), incomplete("content_filter")]).end,
        Some(EndReason::Refused)
    );
    assert!(matches!(
        failure(&[text("Hi"), incomplete("new_reason")]),
        Fault::Passing { .. }
    ));
    assert!(matches!(failure(&[text("Hi")]), Fault::Passing { .. }));
    let refusal = event(
        "response.refusal.delta",
        json!({"output_index": 0, "delta": "I can't."}),
    );
    let read = answer(&[refusal, completed(&json!([]))]);
    assert_eq!((read.text.as_str(), read.end), ("I can't.", Some(EndReason::Refused)));
}

#[test]
fn errors_are_failures_wherever_they_appear() {
    let error = json!({"code": "server_error", "message": "The server had an error."});
    for events in [
        vec![event("error", error.clone())],
        vec![event("error", json!({"error": error}))],
        vec![
            text("Hi"),
            event(
                "response.failed",
                json!({"response": {"status": "failed", "error": error}}),
            ),
        ],
        vec![event("response.completed", json!({"response": {"error": error}}))],
        vec![event("response.failed", json!({"response": {"status": "failed"}}))],
    ] {
        let fault = failure(&events);
        assert!(matches!(fault, Fault::Passing { .. }), "{events:?}: {fault:?}");
    }
    assert!(read_whole(ResponseReader::default(), &json!({"error": error})).is_err());
}

#[test]
fn unknown_events_and_items_are_skipped_and_carried() {
    let search = json!({"type": "web_search_call", "id": "ws_1", "status": "completed"});
    let read = answer(&[
        event("response.web_search_call.searching", json!({"output_index": 0})),
        done(0, &search),
        text("Hi"),
        completed(&json!([search, message()])),
    ]);
    assert_eq!((read.text.as_str(), read.skipped), ("Hi", 2));
    assert_eq!(read.carried, Some(json!([search, message()])));
}

#[test]
fn a_whole_response_is_read() {
    let body = json!({"object": "response", "status": "completed", "output": [message(), call()], "error": null});
    let read = read_whole(ResponseReader::default(), &body).unwrap();
    assert_eq!(
        (read.text.as_str(), read.calls.len(), read.end),
        ("I look.", 1, Some(EndReason::Done))
    );
    assert!(
        read_whole(
            ResponseReader::default(),
            &json!({"object": "response", "status": "queued", "output": []})
        )
        .is_err()
    );
}
