//! Tests of output schemas in the requests of each protocol.

use std::sync::Arc;

use runyard::{
    config::{Provider, ProviderKind},
    engine::config::{Capabilities, StructuredOutput},
    llm::{Llm, LlmError, ModelRequest, ReasoningEffort, Retries, Timeouts, Upstream as Adapter},
};
use runyard_upstream::{Turn, Upstream};
use serde_json::{Value, json};

use super::{ask, bash_tool, question};

const STRICT: &str =
    r#"{"type":"object","properties":{"total":{"type":"integer"}},"required":["total"],"additionalProperties":false}"#;

fn strict() -> Value {
    serde_json::from_str(STRICT).unwrap()
}

fn loose() -> Value {
    json!({"type": "object", "properties": {"total": {"type": "integer", "minimum": 0}}})
}

fn adapter(provider: &Provider) -> Adapter {
    Adapter::with_limits("p", provider, Timeouts::default(), Retries::default()).unwrap()
}

/// Returns the body of a request with a schema. The provider refuses the request.
async fn body(kind: ProviderKind, change: impl FnOnce(&mut ModelRequest, &mut Provider)) -> Value {
    let mut provider = Provider::new(kind);
    let mut request = ModelRequest {
        output: Some(Arc::new(strict())),
        ..question("How many?")
    };
    change(&mut request, &mut provider);
    let words = match request.output {
        Some(_) => "Unknown field: response_format, output_config.format, json_schema, thinking.",
        None => "No.",
    };
    let refused = json!({"error": {"code": 400, "message": words}}).to_string();
    let server = Upstream::start(vec![Turn::status(400).body(&refused)]).await;
    provider.base_url = Some(server.base_url());
    let reply = ask(&adapter(&provider), request).await;
    assert!(matches!(reply.error, Some(LlmError::Refused(_))), "{kind:?}: {reply:?}");
    assert_eq!(server.count(), 1, "a refused schema teaches nothing about the model");
    server.requests()[0].body.clone()
}

#[tokio::test]
async fn each_protocol_has_its_own_field_for_the_schema() {
    let chat = body(ProviderKind::OpenAi, |_, _| {}).await;
    let format = json!({"name": "output", "schema": strict(), "strict": true});
    assert_eq!(
        chat["response_format"],
        json!({"type": "json_schema", "json_schema": format})
    );
    let chat = body(ProviderKind::OpenAi, |request, _| {
        request.output = Some(Arc::new(loose()));
    })
    .await;
    assert_eq!(chat["response_format"]["json_schema"]["strict"], false);
    assert_eq!(chat["response_format"]["json_schema"]["schema"], loose());

    let responses = body(ProviderKind::Responses, |_, _| {}).await;
    let format = json!({"type": "json_schema", "name": "output", "schema": strict(), "strict": true});
    assert_eq!(responses["text"], json!({"format": format}));

    let claude = |schema: Value| {
        move |request: &mut ModelRequest, _: &mut Provider| {
            request.model = "claude-sonnet-4-6".to_owned();
            request.reasoning_effort = Some(ReasoningEffort::Low);
            request.output = Some(Arc::new(schema));
        }
    };
    let anthropic = body(ProviderKind::Anthropic, claude(loose())).await;
    let closed = json!({"type": "object", "properties": {"total": {"type": "integer"}}, "additionalProperties": false});
    assert_eq!(
        anthropic["output_config"],
        json!({"effort": "low", "format": {"type": "json_schema", "schema": closed}})
    );
    let open = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let anthropic = body(ProviderKind::Anthropic, claude(open)).await;
    assert_eq!(anthropic["output_config"], json!({"effort": "low"}));

    let gemini = body(ProviderKind::Gemini, |_, _| {}).await;
    let generation = &gemini["generationConfig"];
    assert_eq!(generation["responseMimeType"], "application/json");
    assert_eq!(generation["responseJsonSchema"], strict());
    let gemini = body(ProviderKind::Gemini, |_, provider| {
        provider.capabilities.json_schema = Some(false);
    });
    let open_api = json!({"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]});
    assert_eq!(gemini.await["generationConfig"]["responseSchema"], open_api);
}

#[tokio::test]
async fn a_request_without_a_schema_has_no_field_for_it() {
    for kind in [
        ProviderKind::OpenAi,
        ProviderKind::Responses,
        ProviderKind::Anthropic,
        ProviderKind::Gemini,
    ] {
        let sent = body(kind, |request, _| {
            request.output = None;
            request.tools = vec![bash_tool()];
        });
        let sent = sent.await.to_string();
        for field in ["response_format", "\"text\":{", "output_config", "responseMimeType"] {
            assert!(!sent.contains(field), "{kind:?}: {sent}");
        }
    }
}

#[test]
fn providers_differ_in_their_support_for_schemas() {
    use StructuredOutput::{Native, NativeWithoutTools, Prompt};
    for (kind, url, model, expected) in [
        (ProviderKind::OpenAi, "https://api.openai.com/v1", "gpt-5.1", Native),
        (
            ProviderKind::OpenAi,
            "http://127.0.0.1:8080/v1",
            "qwen3",
            NativeWithoutTools,
        ),
        (
            ProviderKind::OpenAi,
            "https://api.deepseek.com/v1",
            "deepseek-chat",
            Prompt,
        ),
        (ProviderKind::Responses, "https://api.openai.com/v1", "gpt-5.1", Native),
        (
            ProviderKind::Anthropic,
            "https://api.anthropic.com",
            "claude-sonnet-4-5",
            Native,
        ),
        (
            ProviderKind::Gemini,
            "https://generativelanguage.googleapis.com/v1beta",
            "gemini-2.5-flash",
            NativeWithoutTools,
        ),
        (
            ProviderKind::Gemini,
            "https://generativelanguage.googleapis.com/v1beta",
            "gemini-3-pro",
            Native,
        ),
    ] {
        let mut provider = Provider::new(kind);
        provider.base_url = Some(url.to_owned());
        assert_eq!(
            adapter(&provider).structured_output(model),
            expected,
            "{kind:?} {model}"
        );
        provider.capabilities = Capabilities {
            structured_output: Some(Prompt),
            ..Capabilities::default()
        };
        assert_eq!(
            adapter(&provider).structured_output(model),
            Prompt,
            "the configuration decides"
        );
    }
}
