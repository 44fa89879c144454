//! Tests of requests of the Anthropic Messages protocol.

use serde_json::{Value, json};

use super::super::super::{
    profile::Profile,
    reading::{called, profile, request, result, user},
};
use super::{ChatMessage, NOTE, body};

const MODEL: &str = "claude-sonnet-4-5";

fn marked() -> Profile {
    Profile {
        cache_markers: true,
        ..profile(MODEL)
    }
}

fn sent(messages: Vec<ChatMessage>) -> Value {
    body(&request(MODEL, messages), &marked())
}

/// Returns the indexes of the message and of the block of each cache marker.
fn markers(body: &Value) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (turn, message) in body["messages"].as_array().unwrap().iter().enumerate() {
        for (block, value) in message["content"].as_array().unwrap().iter().enumerate() {
            if value.get("cache_control").is_some() {
                found.push((turn, block));
            }
        }
    }
    found
}

#[test]
fn results_of_one_turn_are_in_one_message_before_other_texts() {
    let body = sent(vec![
        user("begin"),
        called("I look.", &["a", "bad"], None),
        result("a"),
        result("bad"),
        user(&format!("{NOTE}hurry")),
    ]);
    let input = json!({"command": "ls"});
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [
                {"type": "text", "text": "begin", "cache_control": {"type": "ephemeral"}},
            ]},
            {"role": "assistant", "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "a", "name": "bash", "input": input},
                {"type": "tool_use", "id": "bad", "name": "bash", "input": input},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "result of a"},
                {
                    "type": "tool_result", "tool_use_id": "bad", "content": "result of bad", "is_error": true,
                    "cache_control": {"type": "ephemeral"},
                },
                {"type": "text", "text": format!("{NOTE}hurry")},
            ]},
        ])
    );
}

#[test]
fn each_request_marks_the_end_of_the_one_before() {
    let mut messages = vec![user("begin")];
    let mut last = (0, 0);
    for id in ["a", "b", "c"] {
        messages.extend([called("", &[id], None), result(id)]);
        let body = sent(messages.clone());
        let found = markers(&body);
        assert_eq!((found.len(), found[0]), (2, last), "{body}");
        assert!(body["system"][0].get("cache_control").is_some() && body["tools"][0].get("cache_control").is_some());
        last = found[1];
    }
    let plain = body(&request(MODEL, messages), &profile(MODEL));
    assert_eq!((markers(&plain), &plain["system"]), (vec![], &json!("Be brief.")));
}

#[test]
fn blocks_of_the_provider_return_unchanged() {
    let blocks = json!([
        {"type": "thinking", "thinking": "hm", "signature": "SIG"},
        {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"x": 1}},
        {"type": "tool_use", "id": "toolu_2", "name": "bash", "input": {}},
    ]);
    let body = sent(vec![
        user("begin"),
        called("", &["call_1"], Some(("claude-sonnet-4", blocks.clone()))),
        result("call_1"),
    ]);
    let content = &body["messages"][1]["content"];
    assert_eq!(
        content,
        &json!([blocks[0], blocks[1]]),
        "the engine dropped the second call"
    );
    assert_eq!(body["messages"][2]["content"][0]["tool_use_id"], "toolu_1");

    let body = sent(vec![
        user("begin"),
        called("", &["a"], Some(("claude-opus-4", blocks))),
        result("a"),
    ]);
    assert_eq!(body["messages"][1]["content"][0]["type"], "tool_use", "another family");
}

#[test]
fn a_request_without_tools_declares_the_called_ones() {
    let mut last = request(MODEL, vec![user("begin"), called("", &["a"], None), result("a")]);
    last.tools.clear();
    let body = body(&last, &profile(MODEL));
    assert_eq!(
        (&body["tools"][0]["name"], &body["tool_choice"]),
        (&json!("bash"), &json!({"type": "none"}))
    );
    let first = super::body(&request(MODEL, vec![user("")]), &profile(MODEL));
    assert_eq!(first.get("tool_choice"), None);
    assert_eq!(first["messages"][0]["content"][0]["text"], "(no text)");
}
