//! Models: providers behind genai, the model registry, and the built-in model.

mod demo;
mod models;
mod other_providers;
mod upstream;

use std::time::Duration;

use futures::StreamExt;
use runyard::llm::{
    ChatMessage, EndReason, Llm, LlmError, ModelEvent, ModelRequest, TokenUsage, ToolRequest, ToolSpec,
};
use serde_json::json;

/// Everything that was received from one model call.
#[derive(Debug, Default)]
pub struct Heard {
    pub text: String,
    pub reasoning: String,
    pub calls: Vec<ToolRequest>,
    pub notices: Vec<String>,
    pub usage: Option<TokenUsage>,
    pub end: Option<EndReason>,
    pub error: Option<LlmError>,
    pub deltas: usize,
}

/// Sends a request and collects the answer; waits up to 20 s.
pub async fn ask(llm: &dyn Llm, request: ModelRequest) -> Heard {
    let listening = async {
        let mut heard = Heard::default();
        let mut stream = llm.stream(request).await;
        while let Some(event) = stream.next().await {
            assert!(
                heard.end.is_none() && heard.error.is_none(),
                "an event after the end: {event:?}"
            );
            match event {
                Ok(ModelEvent::Text(text)) => {
                    heard.deltas += 1;
                    heard.text.push_str(&text);
                }
                Ok(ModelEvent::Reasoning(text)) => heard.reasoning.push_str(&text),
                Ok(ModelEvent::ToolCall(call)) => heard.calls.push(call),
                Ok(ModelEvent::Usage(usage)) => heard.usage = Some(usage),
                Ok(ModelEvent::Retried { message }) => heard.notices.push(message),
                Ok(ModelEvent::End(end)) => heard.end = Some(end),
                Err(error) => heard.error = Some(error),
            }
        }
        heard
    };
    tokio::time::timeout(Duration::from_secs(20), listening)
        .await
        .expect("an answer within 20 s")
}

/// A request with one sentence and without tools.
pub fn question(text: &str) -> ModelRequest {
    ModelRequest {
        model: "scripted".to_owned(),
        system: "Be brief.".to_owned(),
        messages: vec![ChatMessage::User { text: text.to_owned() }],
        tools: Vec::new(),
        max_output_tokens: 1000,
    }
}

/// The tool offered to the model in these tests.
pub fn bash_tool() -> ToolSpec {
    ToolSpec {
        name: "bash".to_owned(),
        description: "Runs a command.".to_owned(),
        parameters: json!({
            "type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"],
        }),
    }
}
