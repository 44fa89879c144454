//! Tests of the reader with answers of Anthropic and of compatible servers.

use serde_json::{Value, json};

use super::super::super::reading::{Answer, read, read_whole};
use super::{EndReason, Fault, MessageReader, TokenUsage};

fn start(index: u32, block: &Value) -> (&'static str, Value) {
    (
        "content_block_start",
        json!({"type": "content_block_start", "index": index, "content_block": block}),
    )
}

fn delta(index: u32, delta: &Value) -> (&'static str, Value) {
    (
        "content_block_delta",
        json!({"type": "content_block_delta", "index": index, "delta": delta}),
    )
}

fn text(index: u32, text: &str) -> (&'static str, Value) {
    delta(index, &json!({"type": "text_delta", "text": text}))
}

fn json_delta(index: u32, text: &str) -> (&'static str, Value) {
    delta(index, &json!({"type": "input_json_delta", "partial_json": text}))
}

fn end(reason: &str) -> (&'static str, Value) {
    (
        "message_delta",
        json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 9}}),
    )
}

fn stop() -> (&'static str, Value) {
    ("message_stop", json!({"type": "message_stop"}))
}

fn bash(id: &str, input: &Value) -> Value {
    json!({"type": "tool_use", "id": id, "name": "bash", "input": input})
}

fn answer(events: &[(&str, Value)]) -> Answer {
    read(MessageReader::default(), events).unwrap()
}

fn failure(events: &[(&str, Value)]) -> Fault {
    read(MessageReader::default(), events).unwrap_err()
}

#[test]
fn thinking_and_calls_are_read_and_carried() {
    let usage =
        json!({"input_tokens": 20, "cache_creation_input_tokens": 7, "cache_read_input_tokens": 5, "output_tokens": 1});
    let read = answer(&[
        (
            "message_start",
            json!({"type": "message_start", "message": {"content": [], "usage": usage}}),
        ),
        start(0, &json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, &json!({"type": "thinking_delta", "thinking": "hm"})),
        delta(0, &json!({"type": "signature_delta", "signature": "SIG"})),
        ("ping", json!({"type": "ping"})),
        start(1, &json!({"type": "redacted_thinking", "data": "SECRET"})),
        start(2, &json!({"type": "text", "text": ""})),
        text(2, "I look."),
        start(3, &bash("toolu_1", &json!({}))),
        json_delta(3, ""),
        json_delta(3, "{\"command\":"),
        json_delta(3, "\"ls\"}"),
        end("tool_use"),
        stop(),
    ]);
    assert_eq!(
        (read.text.as_str(), read.reasoning.as_str(), read.skipped),
        ("I look.", "hm", 0)
    );
    assert_eq!(read.calls(), [("toolu_1", "bash", "{\"command\":\"ls\"}")]);
    let usage = TokenUsage {
        input: 32,
        output: 9,
        cached_input: 5,
    };
    assert_eq!((read.usage, read.end), (Some(usage), Some(EndReason::Done)));
    assert_eq!(
        read.carried,
        Some(json!([
            {"type": "thinking", "thinking": "hm", "signature": "SIG"},
            {"type": "redacted_thinking", "data": "SECRET"},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "ls"}},
        ]))
    );
}

#[test]
fn server_tools_and_unknown_parts_are_skipped_and_carried() {
    let search = json!({"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}});
    let found = json!({"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [{"url": "u"}]});
    let citation = json!({"type": "web_search_result_location", "url": "u"});
    let read = answer(&[
        start(0, &search),
        json_delta(0, "{\"query\":\"x\"}"),
        start(1, &found),
        start(2, &json!({"type": "text", "text": ""})),
        delta(2, &json!({"type": "citations_delta", "citation": citation})),
        text(2, "Found."),
        start(3, &json!({"type": "new_block", "content": ""})),
        delta(3, &json!({"type": "new_delta", "content": "x"})),
        ("new_event", json!({"type": "new_event"})),
        end("end_turn"),
        stop(),
    ]);
    assert_eq!((read.text.as_str(), read.calls.len(), read.skipped), ("Found.", 0, 6));
    assert_eq!(
        read.carried,
        Some(json!([
            {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "x"}},
            found,
            {"type": "text", "text": "Found.", "citations": [citation]},
        ]))
    );
}

#[test]
fn plain_answers_carry_nothing() {
    let read = answer(&[
        start(0, &json!({"type": "text", "text": ""})),
        text(0, "Hi"),
        start(1, &bash("toolu_1", &json!({}))),
        end("tool_use"),
        stop(),
    ]);
    assert_eq!(
        (read.carried.as_ref(), read.calls()),
        (None, vec![("toolu_1", "bash", "{}")])
    );
    let foreign = answer(&[
        start(0, &bash("functions.bash:0", &json!({"command": "ls"}))),
        end("tool_use"),
    ]);
    assert_eq!(foreign.calls(), [("functions.bash:0", "bash", "{\"command\":\"ls\"}")]);
    assert!(foreign.carried.is_some(), "the engine replaces this id");
}

#[test]
fn imitators_may_leave_out_starts_indexes_and_types() {
    let read = answer(&[
        ("content_block_delta", json!({"delta": {"text": "Hi"}})),
        ("content_block_start", json!({"content_block": bash("a", &json!({}))})),
        (
            "content_block_delta",
            json!({"delta": {"type": "input_json_delta", "partial_json": "{\"a\":1}"}}),
        ),
        (
            "content_block_start",
            json!({"content_block": bash("b", &json!({"b": 2}))}),
        ),
        (
            "message_delta",
            json!({"delta": {"stop_reason": "tool_use"}, "usage": {"input_tokens": 3, "output_tokens": 4}, "error": null}),
        ),
    ]);
    assert_eq!(read.text, "Hi");
    assert_eq!(read.calls(), [("a", "bash", "{\"a\":1}"), ("b", "bash", "{\"b\":2}")]);
    assert_eq!(read.usage.map(|usage| (usage.input, usage.output)), Some((3, 4)));
}

#[test]
fn the_index_decides_between_open_blocks() {
    let read = answer(&[
        start(0, &bash("a", &json!({}))),
        start(1, &bash("b", &json!({}))),
        json_delta(0, "{\"x\":"),
        json_delta(1, "{\"y\":"),
        json_delta(0, "1}"),
        json_delta(1, "2}"),
        end("tool_use"),
        stop(),
    ]);
    assert_eq!(read.calls(), [("a", "bash", "{\"x\":1}"), ("b", "bash", "{\"y\":2}")]);
}

#[test]
fn known_reasons_end_an_answer() {
    let table = [
        ("end_turn", EndReason::Done),
        ("stop_sequence", EndReason::Done),
        ("tool_use", EndReason::Done),
        ("pause_turn", EndReason::Done),
        ("max_tokens", EndReason::Length),
        ("model_context_window_exceeded", EndReason::Length),
        ("refusal", EndReason::Refused),
    ];
    for (reason, expected) in table {
        assert_eq!(answer(&[text(0, "Hi"), end(reason)]).end, Some(expected), "{reason}");
    }
    for reason in ["", "new_reason"] {
        let fault = failure(&[text(0, "Hi"), end(reason)]);
        assert!(matches!(fault, Fault::Passing { .. }), "{reason}: {fault:?}");
        assert_eq!(answer(&[text(0, "Hi"), end(reason), stop()]).end, Some(EndReason::Done));
    }
    assert!(matches!(failure(&[text(0, "Hi")]), Fault::Passing { .. }));
}

#[test]
fn errors_are_failures_wherever_they_appear() {
    let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    for events in [
        vec![("error", overloaded.clone())],
        vec![("message", overloaded.clone())],
        vec![text(0, "Hi"), end("end_turn"), ("error", overloaded.clone())],
        vec![("message_start", json!({"message": {"error": overloaded["error"]}}))],
    ] {
        let fault = failure(&events);
        assert!(matches!(fault, Fault::Passing { .. }), "{fault:?}");
        assert!(fault.message().contains("Overloaded"));
    }
    let mut out = super::Pieces::default();
    let fault = super::Reader::event(&mut MessageReader::default(), "error", "upstream is gone", &mut out).unwrap_err();
    assert!(fault.message().contains("upstream is gone"));
}

#[test]
fn thinking_without_a_signature_is_not_carried_after_the_length_limit() {
    let thinking = delta(0, &json!({"type": "thinking_delta", "thinking": "hm"}));
    assert_eq!(answer(&[thinking.clone(), end("max_tokens")]).carried, None);
    let imitator = answer(&[thinking, end("end_turn")]);
    assert_eq!(
        imitator.carried,
        Some(json!([{"type": "thinking", "thinking": "hm", "signature": ""}]))
    );
}

#[test]
fn a_whole_message_is_read() {
    let body = json!({
        "type": "message",
        "content": [{"type": "text", "text": "Hi"}, bash("toolu_1", &json!({"command": "ls"}))],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 3, "output_tokens": 4},
    });
    let read = read_whole(MessageReader::default(), &body).unwrap();
    assert_eq!((read.text.as_str(), read.end), ("Hi", Some(EndReason::Done)));
    assert_eq!(read.calls(), [("toolu_1", "bash", "{\"command\":\"ls\"}")]);
    let error = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "bad"}});
    assert!(read_whole(MessageReader::default(), &error).is_err());
    let fault = read_whole(MessageReader::default(), &json!({"detail": "no such route"})).unwrap_err();
    assert!(fault.message().contains("no such route"));
}

#[test]
fn held_parts_are_limited() {
    let piece = "x".repeat(1024 * 1024);
    let mut events = vec![start(0, &bash("a", &json!({})))];
    events.extend((0..10).map(|_| json_delta(0, &piece)));
    assert!(failure(&events).message().contains("size limit"));
}
