//! Tests of model providers, of the model registry and of the built-in model.

mod demo;
mod images;
mod models;
mod other_providers;
mod shapes;
mod structured;
mod upstream;

use std::time::Duration;

use futures::StreamExt;
use runyard::config::VisionSettings;
use runyard::llm::{
    Carried, ChatMessage, EndReason, Llm, LlmError, ModelEvent, ModelRequest, TokenUsage, ToolRequest, ToolSpec,
};
use serde_json::json;

#[derive(Debug, Default)]
pub struct Reply {
    pub text: String,
    pub reasoning: String,
    pub calls: Vec<ToolRequest>,
    pub notices: Vec<String>,
    pub usage: Option<TokenUsage>,
    pub carried: Option<Carried>,
    pub end: Option<EndReason>,
    pub error: Option<LlmError>,
    pub deltas: usize,
}

pub async fn ask(llm: &dyn Llm, request: ModelRequest) -> Reply {
    let listening = async {
        let mut reply = Reply::default();
        let mut stream = llm.stream(request).await;
        while let Some(event) = stream.next().await {
            assert!(
                reply.end.is_none() && reply.error.is_none(),
                "an event after the end: {event:?}"
            );
            match event {
                Ok(ModelEvent::Text(text)) => {
                    reply.deltas += 1;
                    reply.text.push_str(&text);
                }
                Ok(ModelEvent::Reasoning(text)) => reply.reasoning.push_str(&text),
                Ok(ModelEvent::ToolCall(call)) => reply.calls.push(call),
                Ok(ModelEvent::Usage(usage)) => reply.usage = Some(usage),
                Ok(ModelEvent::Carried(carried)) => reply.carried = Some(carried),
                Ok(ModelEvent::Retried { message }) => reply.notices.push(message),
                Ok(ModelEvent::End(end)) => reply.end = Some(end),
                Err(error) => reply.error = Some(error),
            }
        }
        reply
    };
    tokio::time::timeout(Duration::from_secs(20), listening)
        .await
        .expect("an answer within 20 s")
}

pub fn question(text: &str) -> ModelRequest {
    ModelRequest {
        model: "scripted".to_owned(),
        system: "Be brief.".to_owned(),
        messages: vec![ChatMessage::user(text)],
        tools: Vec::new(),
        output: None,
        max_output_tokens: 1000,
        reasoning_effort: None,
        extra_body: serde_json::Map::new(),
        vision: VisionSettings::UNSET,
    }
}

pub fn bash_tool() -> ToolSpec {
    ToolSpec {
        name: "bash".to_owned(),
        description: "Runs a command.".to_owned(),
        parameters: json!({
            "type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"],
        }),
    }
}
