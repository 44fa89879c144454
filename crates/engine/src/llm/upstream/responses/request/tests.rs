//! Tests of requests of the Responses protocol.

use serde_json::{Value, json};

use super::super::super::reading::{called, profile, request, result, user};
use super::{ChatMessage, ReasoningEffort, body};

const MODEL: &str = "gpt-5.1";

fn sent(messages: Vec<ChatMessage>) -> Value {
    body(&request(MODEL, messages), &profile(MODEL))
}

#[test]
fn a_conversation_becomes_a_list_of_items() {
    let body = sent(vec![
        user("begin"),
        called("I look.", &["a", "bad"], None),
        result("a"),
        result("bad"),
    ]);
    let arguments = "{\"command\":\"ls\"}";
    assert_eq!(
        body["input"],
        json!([
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "begin"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
            {"type": "function_call", "call_id": "a", "name": "bash", "arguments": arguments},
            {"type": "function_call", "call_id": "bad", "name": "bash", "arguments": arguments},
            {"type": "function_call_output", "call_id": "a", "output": "result of a"},
            {"type": "function_call_output", "call_id": "bad", "output": "The call failed.\nresult of bad"},
        ])
    );
    assert_eq!(
        (&body["instructions"], &body["store"], &body["stream"]),
        (&json!("Be brief."), &json!(false), &json!(true))
    );
    assert_eq!(
        (&body["max_output_tokens"], &body["tools"][0]["strict"]),
        (&json!(1000), &json!(false))
    );
    assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));
}

#[test]
fn items_of_the_provider_return_unchanged_and_in_order() {
    let reasoning = json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "ENC", "summary": []});
    let call = json!({"type": "function_call", "id": "fc_1", "call_id": "own_1", "name": "bash", "arguments": "{}"});
    let items = json!([reasoning, call]);
    let body = sent(vec![
        user("begin"),
        called("", &["call_1"], Some((MODEL, items.clone()))),
        result("call_1"),
    ]);
    assert_eq!((&body["input"][1], &body["input"][2]), (&reasoning, &call));
    assert_eq!(body["input"][3]["call_id"], "own_1");

    let last = sent(vec![user("begin"), called("", &[], Some((MODEL, items.clone())))]);
    assert_eq!(
        last["input"].as_array().unwrap().len(),
        1,
        "the provider refuses reasoning without its item"
    );

    let text = sent(vec![
        user("begin"),
        called("Done.", &["call_1"], Some((MODEL, items))),
        result("call_1"),
    ]);
    assert_eq!(
        (&text["input"][1], &text["input"][2]["role"]),
        (&reasoning, &json!("assistant"))
    );
}

#[test]
fn models_without_reasoning_are_not_asked_for_it() {
    let mut request = request("gpt-4.1-mini", vec![user("begin")]);
    request.reasoning_effort = Some(ReasoningEffort::High);
    let plain = body(&request, &profile("gpt-4.1-mini"));
    assert_eq!((plain.get("include"), plain.get("reasoning")), (None, None));
    request.model = MODEL.to_owned();
    assert_eq!(body(&request, &profile(MODEL))["reasoning"], json!({"effort": "high"}));
}

#[test]
fn a_request_without_tools_declares_the_called_ones() {
    let mut last = request(MODEL, vec![user("begin"), called("", &["a"], None), result("a")]);
    last.tools.clear();
    let body = body(&last, &profile(MODEL));
    assert_eq!(
        (&body["tools"][0]["name"], &body["tool_choice"]),
        (&json!("bash"), &json!("none"))
    );
}
