//! Tests of the reader with answers of Gemini and of gateways.

use serde_json::{Value, json};

use super::super::super::reading::{Answer, read, read_whole};
use super::{ContentReader, EndReason, Fault, LlmError, Reader, TokenUsage};

fn frame(parts: &Value, finish: Option<&str>) -> (&'static str, Value) {
    let mut candidate = json!({"index": 0, "content": {"role": "model", "parts": parts}});
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    ("message", json!({"candidates": [candidate]}))
}

fn answer(events: &[(&str, Value)]) -> Answer {
    read(ContentReader::default(), events).unwrap()
}

fn failure(events: &[(&str, Value)]) -> Fault {
    read(ContentReader::default(), events).unwrap_err()
}

#[test]
fn signatures_are_carried_in_their_parts() {
    let call = json!({"name": "bash", "args": {"command": "ls"}, "id": "g1"});
    let second = json!({"name": "bash", "args": {"command": "pwd"}});
    let read = answer(&[
        frame(&json!([{"text": "I think", "thought": true}]), None),
        frame(&json!([{"text": "I "}]), None),
        frame(&json!([{"text": "look."}]), None),
        frame(
            &json!([{"functionCall": call, "thoughtSignature": "SIG-1"}, {"functionCall": second}]),
            None,
        ),
        frame(&json!([{"text": "", "thoughtSignature": "SIG-2"}]), Some("STOP")),
    ]);
    assert_eq!((read.text.as_str(), read.reasoning.as_str()), ("I look.", "I think"));
    assert_eq!(
        read.calls(),
        [
            ("g1", "bash", "{\"command\":\"ls\"}"),
            ("call_1", "bash", "{\"command\":\"pwd\"}")
        ]
    );
    assert_eq!((read.end, read.skipped), (Some(EndReason::Done), 0));
    assert_eq!(
        read.carried,
        Some(json!([
            {"text": "I look."},
            {"functionCall": call, "thoughtSignature": "SIG-1"},
            {"functionCall": second},
            {"text": "", "thoughtSignature": "SIG-2"},
        ]))
    );
}

#[test]
fn parts_with_signatures_are_not_merged() {
    let read = answer(&[
        frame(&json!([{"text": "a", "thought_signature": "1"}]), None),
        frame(&json!([{"text": "b"}]), None),
        frame(
            &json!([{"text": "c"}, {"text": "t", "thought": true, "thoughtSignature": "2"}]),
            Some("STOP"),
        ),
    ]);
    assert_eq!(
        read.carried,
        Some(json!([
            {"text": "a", "thoughtSignature": "1"},
            {"text": "bc"},
            {"text": "t", "thought": true, "thoughtSignature": "2"},
        ]))
    );
}

#[test]
fn plain_answers_carry_nothing() {
    let call = json!({"name": "default_api.bash"});
    let read = answer(&[
        frame(&json!([{"text": "hm", "thought": true}, {"text": "Hi"}]), None),
        frame(&json!([{"functionCall": call}]), Some("STOP")),
    ]);
    assert_eq!(
        (read.carried.as_ref(), read.calls()),
        (None, vec![("call_0", "bash", "{}")])
    );
}

#[test]
fn usage_contains_thoughts_and_cached_tokens() {
    let usage = json!({"promptTokenCount": 70, "candidatesTokenCount": 3, "thoughtsTokenCount": 4, "cachedContentTokenCount": 50});
    let read = answer(&[
        ("message", json!({"usageMetadata": {"promptTokenCount": 70}})),
        frame(&json!([{"text": "Hi"}]), Some("STOP")),
        ("message", json!({"usageMetadata": usage})),
    ]);
    let expected = TokenUsage {
        input: 70,
        output: 7,
        cached_input: 50,
    };
    assert_eq!(read.usage, Some(expected));
}

#[test]
fn only_known_reasons_end_an_answer() {
    let hi = json!([{"text": "Hi"}]);
    for (reason, expected) in [
        ("STOP", EndReason::Done),
        ("MAX_TOKENS", EndReason::Length),
        ("SAFETY", EndReason::Refused),
        ("RECITATION", EndReason::Refused),
        ("LANGUAGE", EndReason::Refused),
        ("BLOCKLIST", EndReason::Refused),
        ("PROHIBITED_CONTENT", EndReason::Refused),
        ("SPII", EndReason::Refused),
    ] {
        assert_eq!(answer(&[frame(&hi, Some(reason))]).end, Some(expected), "{reason}");
    }
    for reason in [
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "OTHER",
        "NO_IMAGE",
        "NEW_REASON",
        "FINISH_REASON_UNSPECIFIED",
        "",
    ] {
        let fault = failure(&[frame(&hi, Some(reason))]);
        assert!(matches!(fault, Fault::Passing { .. }), "{reason}: {fault:?}");
    }
    assert!(matches!(failure(&[frame(&hi, None)]), Fault::Passing { .. }));
}

#[test]
fn a_blocked_prompt_is_reported_with_its_reason() {
    let feedback = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "safetyRatings": []}});
    let fault = failure(&[("message", feedback)]);
    assert!(
        matches!(&fault, Fault::Final(LlmError::Blocked(message)) if message == "PROHIBITED_CONTENT"),
        "{fault:?}"
    );
    let read = answer(&[
        ("message", json!({"promptFeedback": {"safetyRatings": []}})),
        frame(&json!([{"text": "Hi"}]), Some("STOP")),
    ]);
    assert_eq!(read.text, "Hi");
}

#[test]
fn errors_are_failures_wherever_they_appear() {
    let error = json!({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}});
    for events in [
        vec![("message", error.clone())],
        vec![("message", json!([error]))],
        vec![
            frame(&json!([{"text": "Hi"}]), Some("STOP")),
            ("message", error.clone()),
        ],
    ] {
        let fault = failure(&events);
        assert!(matches!(fault, Fault::Passing { .. }), "{fault:?}");
    }
    let mut null = frame(&json!([{"text": "Hi"}]), Some("STOP"));
    null.1["error"] = Value::Null;
    assert_eq!(answer(&[null]).text, "Hi");
    assert!(read_whole(ContentReader::default(), &json!([error])).is_err());
    let fault = read_whole(ContentReader::default(), &json!({"detail": "no such route"})).unwrap_err();
    assert!(fault.message().contains("no such route"));
}

#[test]
fn unknown_parts_and_other_candidates_are_skipped() {
    let code = json!({"executableCode": {"language": "PYTHON", "code": "1"}});
    let other = json!({"candidates": [{"index": 1, "content": {"parts": [{"text": "other"}]}}]});
    let read = answer(&[("message", other), frame(&json!([code, {"text": "Hi"}]), Some("STOP"))]);
    assert_eq!((read.text.as_str(), read.skipped), ("Hi", 2));
    assert_eq!(read.carried, Some(json!([code, {"text": "Hi"}])));
    let mut out = super::Pieces::default();
    let mut reader = ContentReader::default();
    reader.event("message", "[DONE]", &mut out).unwrap();
    reader.event("message", "not JSON", &mut out).unwrap();
    assert_eq!(out.take_skipped(), 1);
}

#[test]
fn a_whole_answer_and_a_list_of_events_are_read() {
    let (_, first) = frame(&json!([{"text": "H"}]), None);
    let (_, last) = frame(&json!([{"text": "i"}]), Some("STOP"));
    for body in [json!([first, last]), frame(&json!([{"text": "Hi"}]), Some("STOP")).1] {
        let read = read_whole(ContentReader::default(), &body).unwrap();
        assert_eq!((read.text.as_str(), read.end), ("Hi", Some(EndReason::Done)));
    }
}
