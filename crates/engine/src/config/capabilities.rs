//! Properties in which providers of the same protocol differ. `llm/upstream/profile/table.rs` lists the properties of
//! known providers.

use serde::Deserialize;

use super::VisionSettings;

/// Properties of a provider. `None` keeps the value of the built-in table.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Capabilities {
    /// Role of the message that contains the system prompt.
    pub system_role: Option<SystemRole>,
    /// Whether consecutive user messages are sent as one message.
    pub merges_turns: Option<bool>,
    /// Whether the provider refuses a user message directly after a tool result. If so, the engine inserts a short
    /// assistant message before the user message.
    pub assistant_after_tool: Option<bool>,
    /// Required format of tool call ids. Ids in another format are converted.
    pub tool_call_ids: Option<CallIds>,
    /// Whether tool results in requests contain the tool's name.
    pub tool_result_name: Option<bool>,
    /// Messages whose reasoning is sent back to the provider.
    pub returns_reasoning: Option<ReasoningReturn>,
    /// Position of reasoning within the text of an answer.
    pub think_tags: Option<ThinkTags>,
    /// How requests express the reasoning effort.
    pub reasoning_effort: Option<EffortStyle>,
    /// Whether requests contain `cache_control` markers for the provider's prompt cache.
    pub cache_markers: Option<bool>,
    /// Whether Gemini accepts JSON Schema for tools. If false, tools use OpenAPI schemas (`parameters`).
    pub json_schema: Option<bool>,
    /// How requests ask for a final answer that matches a JSON schema.
    pub structured_output: Option<StructuredOutput>,
    /// Header for the API key. Overrides the protocol's header.
    pub key_header: Option<KeyHeader>,
    /// Whether the models see images, and which images the provider accepts.
    pub vision: VisionSettings,
}

/// Role of the message that contains the system prompt.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SystemRole {
    /// A message with the role `system`.
    System,
    /// A message with the role `developer`.
    Developer,
    /// No separate message: the system prompt starts the first user message.
    User,
}

/// Format of tool call ids.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum CallIds {
    /// Any id of up to 40 bytes.
    Any,
    /// Exactly nine ASCII letters or digits. An id in another format is converted, even if the provider generated it.
    Mistral,
    /// `functions.NAME:NUMBER`, the format of Kimi models.
    Kimi,
}

/// Messages whose reasoning is sent back to the provider.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningReturn {
    /// No messages.
    Never,
    /// Only messages with tool calls.
    ToolCalls,
    /// All messages.
    Always,
    /// All messages. A message with tool calls but without the provider's reasoning gets placeholder reasoning.
    Required,
}

/// Position of reasoning within the text of an answer.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ThinkTags {
    /// Nowhere: tags are ordinary text.
    None,
    /// Between tags, such as `<think>`, at the beginning of the answer.
    Tagged,
    /// From the beginning of the answer to the closing tag. The prompt contains the opening tag.
    Open,
}

/// How a Chat Completions request expresses the reasoning effort.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum EffortStyle {
    /// The reasoning effort is not sent.
    None,
    /// `"reasoning_effort": "low"`.
    Field,
    /// `"reasoning": {"effort": "low"}`.
    Object,
    /// `"thinking": {"type": "enabled"}`.
    Thinking,
    /// `"enable_thinking": true`.
    EnableThinking,
    /// `"chat_template_kwargs": {"enable_thinking": true}`.
    Template,
}

/// How requests ask for a final answer that matches a JSON schema. The prompt always contains the schema.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum StructuredOutput {
    /// Requests contain the schema in the field that the protocol defines for it.
    Native,
    /// Like `Native`, but only in requests without tools, because the provider refuses the combination.
    NativeWithoutTools,
    /// Only the prompt contains the schema.
    Prompt,
}

/// Name of the request field that limits the number of output tokens.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
    /// `max_output_tokens`.
    MaxOutputTokens,
}

impl MaxTokensField {
    /// Returns the name of the field in the request body.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxOutputTokens => "max_output_tokens",
        }
    }
}

/// Header for the API key.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum KeyHeader {
    /// `Authorization: Bearer KEY`.
    Authorization,
    /// `api-key: KEY`.
    ApiKey,
    /// `x-api-key: KEY`.
    XApiKey,
}
