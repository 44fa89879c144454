//! Properties in which providers of the same protocol differ.
//!
//! `llm/upstream/profile.rs` has a table of known providers. The configuration can override each entry.

use serde::Deserialize;

/// Properties of a provider. `None` keeps the value of the built-in table.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Capabilities {
    /// Role of the system prompt.
    pub system_role: Option<SystemRole>,
    /// If true, consecutive messages of the user are sent as one message.
    pub merges_turns: Option<bool>,
    /// If true, a user message must not follow a tool result directly, so requests put a short assistant message
    /// between them.
    pub assistant_after_tool: Option<bool>,
    /// Required format of tool call ids. Ids in another format are converted.
    pub tool_call_ids: Option<CallIds>,
    /// If true, tool results contain the name of the tool.
    pub tool_result_name: Option<bool>,
    /// Messages with which the provider's own reasoning is sent back.
    pub returns_reasoning: Option<ReasoningReturn>,
    /// Where reasoning can occur within the text.
    pub think_tags: Option<ThinkTags>,
    /// Form of the reasoning effort in requests.
    pub reasoning_effort: Option<EffortStyle>,
    /// If true, requests contain markers (`cache_control`) that tell the provider what to cache.
    pub cache_markers: Option<bool>,
    /// If false, requests to Gemini declare tools with OpenAPI schemas (`parameters`) instead of JSON Schema.
    pub json_schema: Option<bool>,
    /// Header with the API key, instead of the header of the protocol.
    pub key_header: Option<KeyHeader>,
}

/// Role of the system prompt.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SystemRole {
    /// A message with the role `system`.
    System,
    /// A message with the role `developer`.
    Developer,
    /// No role: the system prompt is put at the beginning of the first user message.
    User,
}

/// Format of tool call ids.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum CallIds {
    /// Any id of up to 40 characters.
    Any,
    /// Nine letters and digits. Even the provider's own ids are converted if they have another format.
    Mistral,
    /// `functions.NAME:NUMBER`.
    Kimi,
}

/// Messages with which a provider's own reasoning is sent back.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningReturn {
    /// No messages: reasoning is never sent back.
    Never,
    /// Only messages with tool calls.
    ToolCalls,
    /// All messages.
    Always,
    /// All messages. If a message with tool calls came from another provider, placeholder reasoning is sent with it.
    Required,
}

/// Where reasoning can occur within the text.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ThinkTags {
    /// Nowhere; tags are ordinary text.
    None,
    /// Between tags at the beginning of the answer.
    Tagged,
    /// From the beginning of the answer to the closing tag. The opening tag is part of the prompt.
    Open,
}

/// Form of the reasoning effort in a chat completions request.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum EffortStyle {
    /// Not sent.
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

/// Name of the field with the maximum number of tokens of an answer.
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
    /// The name of the field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxOutputTokens => "max_output_tokens",
        }
    }
}

/// Header with the API key.
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
