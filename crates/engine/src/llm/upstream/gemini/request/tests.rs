//! Tests of requests of the Gemini protocol.

use serde_json::{Value, json};

use super::super::super::reading::{called, profile, request, result, user};
use super::{ChatMessage, ReasoningEffort, body};

fn sent(model: &str, messages: Vec<ChatMessage>) -> Value {
    body(&request(model, messages), &profile(model))
}

#[test]
fn parts_of_the_provider_return_unchanged() {
    let model = "gemini-3-pro-preview";
    let parts = json!([
        {"text": "I look."},
        {"functionCall": {"name": "bash", "args": {}, "id": "g1"}, "thoughtSignature": "SIG"},
        {"functionCall": {"name": "bash", "args": {}, "id": "g2"}},
        {"text": "", "thoughtSignature": "SIG-2"},
    ]);
    let body = sent(
        model,
        vec![
            user("begin"),
            called("I look.", &["call_1", "bad"], Some((model, parts.clone()))),
            result("call_1"),
            result("bad"),
            user("go on"),
        ],
    );
    assert_eq!(
        body["contents"],
        json!([
            {"role": "user", "parts": [{"text": "begin"}]},
            {"role": "model", "parts": parts},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "bash", "id": "g1", "response": {"output": "result of call_1"}}},
                {"functionResponse": {"name": "bash", "id": "g2", "response": {"error": "result of bad"}}},
                {"text": "go on"},
            ]},
        ])
    );
    assert_eq!(body["systemInstruction"], json!({"parts": [{"text": "Be brief."}]}));
    let declaration =
        json!({"name": "bash", "description": "Runs a command.", "parametersJsonSchema": {"type": "object"}});
    assert_eq!(body["tools"], json!([{"functionDeclarations": [declaration]}]));
    assert_eq!(body["generationConfig"], json!({"maxOutputTokens": 1000}));
}

#[test]
fn calls_of_other_models_get_the_documented_placeholder() {
    let conversation = || vec![user("begin"), called("", &["a", "b"], None), result("a"), result("b")];
    for model in ["gemini-3-flash-preview", "gemini-flash-latest"] {
        let parts = &sent(model, conversation())["contents"][1]["parts"];
        assert_eq!(
            parts[0]["thoughtSignature"], "skip_thought_signature_validator",
            "{model}"
        );
        assert_eq!(parts[1].get("thoughtSignature"), None);
    }
    let old = sent("gemini-2.5-flash", conversation());
    assert_eq!(old["contents"][1]["parts"][0].get("thoughtSignature"), None);
    assert_eq!(old["contents"][2]["parts"][0]["functionResponse"].get("id"), None);
}

#[test]
fn a_dropped_call_is_left_out_and_a_found_one_is_added() {
    let model = "gemini-3-pro-preview";
    let parts = json!([
        {"functionCall": {"name": "bash"}, "thoughtSignature": "SIG"},
        {"functionCall": {"name": "bash"}},
    ]);
    let last = sent(
        model,
        vec![user("begin"), called("", &[], Some((model, parts.clone())))],
    );
    assert_eq!(last["contents"].as_array().unwrap().len(), 1);
    let found = sent(
        model,
        vec![user("begin"), called("", &["a", "b", "c"], Some((model, parts)))],
    );
    assert_eq!(found["contents"][1]["parts"].as_array().unwrap().len(), 3);
}

#[test]
fn each_version_is_told_in_its_own_form_how_much_to_think() {
    let thinking = |model: &str, effort| {
        let mut request = request(model, vec![user("begin")]);
        request.max_output_tokens = 10_000;
        request.reasoning_effort = Some(effort);
        body(&request, &profile(model))["generationConfig"]["thinkingConfig"].clone()
    };
    for (model, effort, expected) in [
        ("gemini-2.0-flash", ReasoningEffort::High, Value::Null),
        (
            "gemini-2.5-flash",
            ReasoningEffort::None,
            json!({"thinkingBudget": 0, "includeThoughts": false}),
        ),
        (
            "gemini-2.5-pro",
            ReasoningEffort::None,
            json!({"thinkingBudget": 128, "includeThoughts": true}),
        ),
        (
            "gemini-2.5-pro",
            ReasoningEffort::High,
            json!({"thinkingBudget": 5000, "includeThoughts": true}),
        ),
        (
            "gemini-3-flash",
            ReasoningEffort::None,
            json!({"thinkingLevel": "minimal", "includeThoughts": true}),
        ),
        (
            "gemini-3-pro",
            ReasoningEffort::Minimal,
            json!({"thinkingLevel": "low", "includeThoughts": true}),
        ),
        (
            "gemini-flash-latest",
            ReasoningEffort::High,
            json!({"thinkingLevel": "high", "includeThoughts": true}),
        ),
    ] {
        assert_eq!(thinking(model, effort), expected, "{model} {effort:?}");
    }
}

#[test]
fn a_request_without_tools_declares_the_called_ones() {
    let model = "gemini-2.5-flash";
    let mut last = request(model, vec![user("begin"), called("", &["a"], None), result("a")]);
    last.tools.clear();
    let body = body(&last, &profile(model));
    assert_eq!(body["tools"][0]["functionDeclarations"][0]["name"], "bash");
    assert_eq!(body["toolConfig"], json!({"functionCallingConfig": {"mode": "NONE"}}));
}
