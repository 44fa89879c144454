//! Tests of the adapters for Anthropic, Gemini and OpenAI Responses: their requests and their handling of errors.
//! `shapes.rs` tests the parsing of their answers.

use std::time::Duration;

use runyard::{
    config::{Provider, ProviderKind},
    llm::{
        Carried, ChatMessage, EndReason, LlmError, ModelRequest, Retries, Timeouts, ToolRequest, Upstream as Adapter,
    },
};
use runyard_upstream::{Received, Turn, Upstream};
use serde_json::{Value, json};

use super::{Reply, ask, bash_tool, question};

const KEY: &str = "sk-secret-0123456789";

const KINDS: [(ProviderKind, &str); 3] = [
    (ProviderKind::Anthropic, "claude-sonnet-4-5"),
    (ProviderKind::Gemini, "gemini-3-pro-preview"),
    (ProviderKind::Responses, "gpt-5.1"),
];

fn fine(kind: ProviderKind) -> Turn {
    let events = match kind {
        ProviderKind::Anthropic => vec![
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "fine"}}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
            json!({"type": "message_stop"}),
        ],
        ProviderKind::Gemini => {
            vec![json!({"candidates": [{"content": {"parts": [{"text": "fine"}]}, "finishReason": "STOP"}]})]
        }
        ProviderKind::Responses | ProviderKind::OpenAi => vec![
            json!({"type": "response.output_text.delta", "output_index": 0, "delta": "fine"}),
            json!({"type": "response.completed", "response": {"status": "completed"}}),
        ],
    };
    let frames: Vec<String> = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    Turn::stream(frames.concat())
}

fn refusal(words: &str) -> Turn {
    Turn::status(400).body(&json!({"error": {"code": 400, "message": words}}).to_string())
}

/// Returns reasoning and a tool call in the signed form that the next request must send back.
fn signed(kind: ProviderKind) -> Value {
    match kind {
        ProviderKind::Anthropic => json!([
            {"type": "thinking", "thinking": "hm", "signature": "SIGNED"},
            {"type": "tool_use", "id": "call_1", "name": "bash", "input": {"command": "ls"}},
        ]),
        ProviderKind::Gemini => json!([{
            "functionCall": {"name": "bash", "args": {"command": "ls"}}, "thoughtSignature": "SIGNED",
        }]),
        ProviderKind::Responses | ProviderKind::OpenAi => json!([
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "SIGNED"},
            {"type": "function_call", "call_id": "call_1", "name": "bash", "arguments": "{\"command\":\"ls\"}"},
        ]),
    }
}

fn conversation(model: &str, carried: Option<Carried>) -> ModelRequest {
    let call = ToolRequest {
        id: "call_1".to_owned(),
        name: "bash".to_owned(),
        arguments: "{\"command\":\"ls\"}".to_owned(),
    };
    ModelRequest {
        model: model.to_owned(),
        messages: vec![
            ChatMessage::user("look"),
            ChatMessage::Assistant {
                text: String::new(),
                tool_calls: vec![call],
                carried,
            },
            ChatMessage::Tool {
                tool_call_id: "call_1".to_owned(),
                name: "bash".to_owned(),
                text: "data.csv".to_owned(),
                images: Vec::new(),
                is_error: false,
            },
        ],
        tools: vec![bash_tool()],
        ..question("")
    }
}

async fn collect(kind: ProviderKind, turns: Vec<Turn>, request: ModelRequest) -> (Reply, Vec<Received>) {
    let server = Upstream::start(turns).await;
    let mut provider = Provider::new(kind);
    provider.base_url = Some(server.base_url());
    provider.api_key = Some(KEY.to_owned().into());
    let retries = Retries {
        first_pause: Duration::from_millis(2),
        ..Retries::default()
    };
    let adapter = Adapter::with_limits("p", &provider, Timeouts::default(), retries).unwrap();
    let reply = ask(&adapter, request).await;
    (reply, server.requests())
}

fn is_fine(reply: &Reply) -> bool {
    reply.text == "fine" && reply.end == Some(EndReason::Done) && reply.notices.is_empty()
}

#[tokio::test]
async fn each_protocol_has_its_own_path_and_headers() {
    for (kind, model) in KINDS {
        let (reply, requests) = collect(kind, vec![fine(kind)], conversation(model, None)).await;
        assert!(is_fine(&reply), "{kind:?}: {reply:?}");
        let request = &requests[0];
        let header = |name: &str| request.headers.get(name).map(String::as_str).unwrap_or_default();
        let bearer = format!("Bearer {KEY}");
        let expected = match kind {
            ProviderKind::Anthropic => [("x-api-key", KEY), ("anthropic-version", "2023-06-01")],
            ProviderKind::Gemini => [("x-goog-api-key", KEY), ("authorization", "")],
            ProviderKind::Responses | ProviderKind::OpenAi => [("authorization", bearer.as_str()), ("x-api-key", "")],
        };
        for (name, value) in expected {
            assert_eq!(header(name), value, "{kind:?} {name}");
        }
        let path = match kind {
            ProviderKind::Anthropic => "/v1/messages",
            ProviderKind::Gemini => "/v1/models/gemini-3-pro-preview:streamGenerateContent",
            ProviderKind::Responses | ProviderKind::OpenAi => "/v1/responses",
        };
        assert_eq!(request.path, path);
    }
}

#[tokio::test]
async fn a_signature_that_the_provider_refuses_is_left_out() {
    let words = [
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        "Corrupted thought signature.",
        "The encrypted content gAAA could not be verified.",
    ];
    for ((kind, model), words) in KINDS.into_iter().zip(words) {
        let (first, _) = collect(kind, vec![fine(kind)], conversation(model, None)).await;
        assert!(is_fine(&first));
        let family = match kind {
            ProviderKind::Anthropic => "claude-sonnet-4",
            ProviderKind::Gemini => "gemini-3",
            ProviderKind::Responses | ProviderKind::OpenAi => "gpt-5",
        };
        let carried = Carried {
            provider: "p".to_owned(),
            family: family.to_owned(),
            value: signed(kind),
        };
        let request = conversation(model, Some(carried));
        let (reply, requests) = collect(kind, vec![refusal(words), fine(kind)], request).await;
        assert!(is_fine(&reply), "{kind:?}: {reply:?}");
        let has_signature = |request: &Received| request.body.to_string().contains("SIGNED");
        assert!(
            requests.len() == 2 && has_signature(&requests[0]) && !has_signature(&requests[1]),
            "{kind:?}: {requests:?}"
        );
        let (reply, requests) = collect(kind, vec![refusal(words)], conversation(model, None)).await;
        assert!(
            matches!(reply.error, Some(LlmError::Refused(_))) && requests.len() == 1,
            "{reply:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_field_is_written_in_another_form() {
    let table = [
        (
            ProviderKind::Anthropic,
            "tools.0.cache_control: Extra inputs are not permitted",
            "cache_control",
        ),
        (
            ProviderKind::Gemini,
            "Invalid JSON payload received. Unknown name \"parametersJsonSchema\" at 'tools[0].function_declarations[0]'",
            "parametersJsonSchema",
        ),
        (
            ProviderKind::Responses,
            "Encrypted content is not supported with this model.",
            "reasoning.encrypted_content",
        ),
    ];
    for (kind, words, field) in table {
        let (reply, requests) = collect(kind, vec![refusal(words), fine(kind)], conversation("m", None)).await;
        assert!(is_fine(&reply), "{kind:?}: {reply:?}");
        let has_field = |request: &Received| request.body.to_string().contains(field);
        assert!(
            requests.len() == 2 && has_field(&requests[0]) && !has_field(&requests[1]),
            "{kind:?}: {requests:?}"
        );
    }
}
