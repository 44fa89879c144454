//! Anthropic and Gemini: a conversation with a tool call, over the protocols of these two providers.

use std::time::Duration;

use runyard::{
    config::{Provider, ProviderKind},
    llm::{
        ChatMessage, EndReason, LlmError, ModelRequest, Retries, Timeouts, TokenUsage, ToolRequest, Upstream as Adapter,
    },
};
use runyard_upstream::{Step, Turn, Upstream};
use serde_json::{Value, json};

use super::{Reply, ask, bash_tool, question};

async fn collect(kind: ProviderKind, turns: Vec<Turn>) -> (Reply, Upstream) {
    let server = Upstream::start(turns).await;
    let provider = Provider {
        kind,
        base_url: Some(server.base_url()),
        api_key: Some("sk-secret-0123456789".to_owned().into()),
        model: None,
    };
    let timeouts = Timeouts {
        gap: Duration::from_millis(300),
        ..Timeouts::default()
    };
    let retries = Retries {
        attempts: 2,
        first_pause: Duration::from_millis(2),
        ..Retries::default()
    };
    let adapter = Adapter::with_limits(&provider, timeouts, retries).unwrap();
    let call = ToolRequest {
        id: "toolu_0".to_owned(),
        name: "bash".to_owned(),
        arguments: "{}".to_owned(),
    };
    let answer = ChatMessage::Tool {
        tool_call_id: "toolu_0".to_owned(),
        name: "bash".to_owned(),
        text: "data.csv".to_owned(),
        is_error: false,
    };
    let request = ModelRequest {
        messages: vec![
            ChatMessage::User {
                text: "look".to_owned(),
            },
            ChatMessage::Assistant {
                text: String::new(),
                tool_calls: vec![call],
            },
            answer,
        ],
        tools: vec![bash_tool()],
        ..question("")
    };
    (ask(&adapter, request).await, server)
}

fn anthropic(events: &[(&str, Value)]) -> Turn {
    let frames: Vec<String> = events
        .iter()
        .map(|(name, data)| format!("event: {name}\ndata: {data}\n\n"))
        .collect();
    Turn::stream(frames.concat())
}

fn anthropic_answer() -> Vec<(&'static str, Value)> {
    let usage = json!({"input_tokens": 20, "output_tokens": 1, "cache_read_input_tokens": 5});
    let start = |index: u32, block: Value| ("content_block_start", json!({"index": index, "content_block": block}));
    let delta = |index: u32, delta: Value| ("content_block_delta", json!({"index": index, "delta": delta}));
    vec![
        ("message_start", json!({"message": {"usage": usage}})),
        start(0, json!({"type": "text", "text": ""})),
        ("ping", json!({})),
        delta(0, json!({"type": "text_delta", "text": "I look "})),
        delta(0, json!({"type": "text_delta", "text": "again."})),
        ("content_block_stop", json!({"index": 0})),
        start(
            1,
            json!({"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {}}),
        ),
        delta(1, json!({"type": "input_json_delta", "partial_json": "{\"comm"})),
        delta(1, json!({"type": "input_json_delta", "partial_json": "and\":\"ls\"}"})),
        ("content_block_stop", json!({"index": 1})),
        (
            "message_delta",
            json!({"delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}),
        ),
        ("message_stop", json!({})),
    ]
}

#[tokio::test]
async fn anthropic_text_tool_calls_and_usage_are_read() {
    let (reply, server) = collect(ProviderKind::Anthropic, vec![anthropic(&anthropic_answer())]).await;
    assert_eq!(
        (reply.text.as_str(), reply.deltas, reply.end),
        ("I look again.", 2, Some(EndReason::Done)),
        "{reply:?}"
    );
    let call = &reply.calls[0];
    assert_eq!(
        (call.id.as_str(), call.name.as_str(), reply.calls.len()),
        ("toolu_1", "bash", 1)
    );
    assert_eq!(
        serde_json::from_str::<Value>(&call.arguments).unwrap(),
        json!({"command": "ls"})
    );
    assert_eq!(
        reply.usage,
        Some(TokenUsage {
            input: 25,
            output: 9,
            cached_input: 5
        })
    );

    let request = &server.requests()[0];
    assert_eq!(
        (request.path.as_str(), request.api_key.as_deref()),
        ("/v1/messages", Some("sk-secret-0123456789"))
    );
    assert_eq!(
        (&request.body["max_tokens"], &request.body["system"]),
        (&json!(1000), &json!("Be brief."))
    );
    let messages = request.messages();
    assert_eq!(messages[1]["content"][0]["type"], "tool_use");
    assert_eq!(messages[2]["content"][0]["tool_use_id"], "toolu_0");
    assert_eq!(request.body["tools"][0]["input_schema"], bash_tool().parameters);
}

#[tokio::test]
async fn anthropic_failures_are_classified() {
    let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let (reply, _server) = collect(
        ProviderKind::Anthropic,
        vec![anthropic(&[("error", overloaded)]), anthropic(&anthropic_answer())],
    )
    .await;
    assert_eq!(
        (reply.text.as_str(), reply.notices.len()),
        ("I look again.", 1),
        "{reply:?}"
    );

    let cut = anthropic(&anthropic_answer()[..8]);
    let (reply, _server) = collect(ProviderKind::Anthropic, vec![cut]).await;
    assert_eq!((reply.text.as_str(), reply.calls.len()), ("I look again.", 0));
    assert!(matches!(reply.error, Some(LlmError::Broken(_))), "{reply:?}");

    let long = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 9"}});
    let (reply, _server) = collect(ProviderKind::Anthropic, vec![Turn::status(400).body(&long.to_string())]).await;
    assert!(matches!(reply.error, Some(LlmError::TooLong(_))), "{reply:?}");
}

fn gemini(parts: &Value, finish: Option<&str>) -> Step {
    let mut event = json!({
        "candidates": [{"content": {"role": "model", "parts": parts}}],
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10},
    });
    if let Some(finish) = finish {
        event["candidates"][0]["finishReason"] = json!(finish);
    }
    Step::Event(event)
}

#[tokio::test]
async fn gemini_text_tool_calls_and_usage_are_read() {
    let call = json!([{"functionCall": {"name": "bash", "args": {"command": "ls"}}}]);
    let turn = Turn::raw([
        gemini(&json!([{"text": "Once "}]), None),
        gemini(&json!([{"text": "more."}]), None),
        gemini(&call, Some("STOP")),
    ]);
    let (reply, server) = collect(ProviderKind::Gemini, vec![turn]).await;
    assert_eq!(
        (reply.text.as_str(), reply.end),
        ("Once more.", Some(EndReason::Done)),
        "{reply:?}"
    );
    assert_eq!((reply.calls[0].name.as_str(), reply.calls.len()), ("bash", 1));
    assert_eq!(
        serde_json::from_str::<Value>(&reply.calls[0].arguments).unwrap(),
        json!({"command": "ls"})
    );
    assert_eq!(
        reply.usage,
        Some(TokenUsage {
            input: 7,
            output: 3,
            cached_input: 0
        })
    );
    let request = &server.requests()[0];
    assert_eq!(request.api_key.as_deref(), Some("sk-secret-0123456789"));
    assert_eq!(request.path, "/v1/models/scripted:streamGenerateContent");

    let cut = Turn::raw([gemini(&json!([{"text": "Once "}]), None)]);
    let (reply, _server) = collect(ProviderKind::Gemini, vec![cut]).await;
    assert!(
        reply.text == "Once " && matches!(reply.error, Some(LlmError::Broken(_))),
        "{reply:?}"
    );

    let (reply, server) = collect(ProviderKind::Gemini, vec![Turn::status(503), Turn::status(403)]).await;
    assert!(matches!(reply.error, Some(LlmError::Credentials(_))), "{reply:?}");
    assert_eq!((reply.notices.len(), server.count()), (1, 2));
}
