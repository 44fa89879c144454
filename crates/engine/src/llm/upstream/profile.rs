//! Properties of providers and models that affect requests and answers.
//!
//! `profile/table.rs` lists known providers by host name and model name. The configuration overrides the table.
//! Properties that refused requests reveal (`adapt.rs`) override both.

mod table;

use reqwest::Url;

use crate::{
    config::{
        CallIds, Capabilities, EffortStyle, KeyHeader, MaxTokensField, Provider, ProviderKind, ReasoningReturn,
        StructuredOutput, SystemRole, ThinkTags, Vision, VisionSettings,
    },
    llm::Carried,
};

/// Properties from one or more sources: the table, the configuration or refused requests. `None` means that no source
/// sets the property.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overlay {
    pub(super) max_tokens_field: Option<MaxTokensField>,
    pub(super) stream_options: Option<bool>,
    pub(super) stream: Option<bool>,
    pub(super) capabilities: Capabilities,
}

pub(super) const NOTHING: Overlay = Overlay::of_capabilities(UNKNOWN);

pub(super) const UNKNOWN: Capabilities = Capabilities {
    system_role: None,
    merges_turns: None,
    assistant_after_tool: None,
    tool_call_ids: None,
    tool_result_name: None,
    returns_reasoning: None,
    think_tags: None,
    reasoning_effort: None,
    cache_markers: None,
    json_schema: None,
    structured_output: None,
    key_header: None,
    vision: VisionSettings::UNSET,
};

impl Overlay {
    pub(super) const fn of_capabilities(capabilities: Capabilities) -> Self {
        Self {
            max_tokens_field: None,
            stream_options: None,
            stream: None,
            capabilities,
        }
    }

    pub(super) fn of(provider: &Provider) -> Self {
        Self {
            max_tokens_field: provider.max_tokens_field,
            stream_options: provider.stream_options,
            stream: provider.stream,
            capabilities: provider.capabilities,
        }
    }

    pub(super) fn lay(&mut self, over: Self) {
        fn set<T>(under: &mut Option<T>, over: Option<T>) {
            if over.is_some() {
                *under = over;
            }
        }
        set(&mut self.max_tokens_field, over.max_tokens_field);
        set(&mut self.stream_options, over.stream_options);
        set(&mut self.stream, over.stream);
        let (under, over) = (&mut self.capabilities, over.capabilities);
        set(&mut under.system_role, over.system_role);
        set(&mut under.merges_turns, over.merges_turns);
        set(&mut under.assistant_after_tool, over.assistant_after_tool);
        set(&mut under.tool_call_ids, over.tool_call_ids);
        set(&mut under.tool_result_name, over.tool_result_name);
        set(&mut under.returns_reasoning, over.returns_reasoning);
        set(&mut under.think_tags, over.think_tags);
        set(&mut under.reasoning_effort, over.reasoning_effort);
        set(&mut under.cache_markers, over.cache_markers);
        set(&mut under.json_schema, over.json_schema);
        set(&mut under.structured_output, over.structured_output);
        set(&mut under.key_header, over.key_header);
        under.vision.lay(over.vision);
    }

    pub(super) fn known(kind: ProviderKind, base_url: &Url, model: &str) -> Self {
        let host = base_url.host_str().unwrap_or_default();
        let model = model.to_lowercase();
        let mut found = Self::default();
        for (_, overlay) in table::KINDS.iter().filter(|(of, _)| *of == kind) {
            found.lay(*overlay);
        }
        for entry in table::TABLE {
            let is_host = entry.hosts.is_empty() || entry.hosts.iter().any(|end| host.ends_with(end));
            let is_model = entry.models.is_empty() || entry.models.iter().any(|part| model.contains(part));
            if is_host && is_model {
                found.lay(entry.overlay);
            }
        }
        found
    }
}

/// All properties of a model, with defaults applied. Described in [`Provider`] and [`Capabilities`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub(super) struct Profile {
    pub(super) provider: String,
    /// The model's [`family`].
    pub(super) family: String,
    pub(super) max_tokens_field: MaxTokensField,
    pub(super) stream_options: bool,
    pub(super) stream: bool,
    pub(super) system_role: SystemRole,
    pub(super) merges_turns: bool,
    pub(super) assistant_after_tool: bool,
    pub(super) tool_call_ids: CallIds,
    pub(super) tool_result_name: bool,
    pub(super) returns_reasoning: ReasoningReturn,
    pub(super) think_tags: ThinkTags,
    pub(super) reasoning_effort: EffortStyle,
    pub(super) cache_markers: bool,
    pub(super) json_schema: bool,
    pub(super) structured_output: StructuredOutput,
    /// `None` for the protocol's default header.
    pub(super) key_header: Option<KeyHeader>,
    pub(super) vision: Vision,
}

impl Profile {
    /// Unset properties of the overlay get default values.
    pub(super) fn new(provider: &str, model: &str, overlay: Overlay) -> Self {
        let capabilities = overlay.capabilities;
        Self {
            provider: provider.to_owned(),
            family: family(model),
            max_tokens_field: overlay.max_tokens_field.unwrap_or(MaxTokensField::MaxTokens),
            stream_options: overlay.stream_options.unwrap_or(true),
            stream: overlay.stream.unwrap_or(true),
            system_role: capabilities.system_role.unwrap_or(SystemRole::System),
            merges_turns: capabilities.merges_turns.unwrap_or(true),
            assistant_after_tool: capabilities.assistant_after_tool.unwrap_or(false),
            tool_call_ids: capabilities.tool_call_ids.unwrap_or(CallIds::Any),
            tool_result_name: capabilities.tool_result_name.unwrap_or(false),
            returns_reasoning: capabilities.returns_reasoning.unwrap_or(ReasoningReturn::ToolCalls),
            think_tags: capabilities.think_tags.unwrap_or(ThinkTags::Tagged),
            reasoning_effort: capabilities.reasoning_effort.unwrap_or(EffortStyle::Field),
            cache_markers: capabilities.cache_markers.unwrap_or(false),
            json_schema: capabilities.json_schema.unwrap_or(true),
            structured_output: capabilities
                .structured_output
                .unwrap_or(StructuredOutput::NativeWithoutTools),
            key_header: capabilities.key_header,
            vision: capabilities.vision.into(),
        }
    }

    /// Returns `None` if the provider data belongs to another provider or model family.
    pub(super) fn carried<'c>(&self, carried: Option<&'c Carried>) -> Option<&'c serde_json::Value> {
        carried
            .filter(|carried| carried.provider == self.provider && carried.family == self.family)
            .map(|carried| &carried.value)
    }
}

/// Returns a model's family: its name without the vendor, up to the first number. For example,
/// `google/gemini-3-pro-preview` belongs to `gemini-3`. Models of one family accept each other's reasoning and
/// signatures.
pub(super) fn family(model: &str) -> String {
    let name = model.to_lowercase();
    let name = name.rsplit('/').next().unwrap_or_default();
    let parts: Vec<&str> = name.split(['-', '_', ':', '.', '@', ' ']).collect();
    let numbered = parts
        .iter()
        .position(|part| part.bytes().any(|byte| byte.is_ascii_digit()));
    match numbered {
        Some(position) => parts[..=position].join("-"),
        None => parts[0].to_owned(),
    }
}

/// Returns whether a base URL has a private address. Local hardware may be slow, so such providers get longer
/// timeouts.
pub(super) fn is_local(base_url: &Url) -> bool {
    let Some(host) = base_url.host_str() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(address)) => address.is_loopback() || address.is_private() || address.is_link_local(),
        Ok(std::net::IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        // A name without a dot, or with one of these endings, belongs to a container or a host in the local network.
        Err(_) => {
            !host.contains('.')
                || [".local", ".internal", ".lan", ".localhost"]
                    .iter()
                    .any(|end| host.ends_with(end))
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    #[test]
    fn families_end_at_the_first_number() {
        for (model, expected) in [
            ("google/gemini-3-pro-preview", "gemini-3"),
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4"),
            ("gpt-5.1", "gpt-5"),
            ("deepseek-chat", "deepseek"),
            ("moonshotai/kimi-k2-thinking", "kimi-k2"),
            ("m", "m"),
            ("", ""),
        ] {
            assert_eq!(family(model), expected, "{model}");
        }
    }

    #[test]
    fn private_addresses_are_local() {
        for (url, expected) in [
            ("http://127.0.0.1:8080/v1", true),
            ("http://[::1]/v1", true),
            ("http://192.168.1.7/v1", true),
            ("http://ollama:11434/v1", true),
            ("http://host.docker.internal/v1", true),
            ("https://api.openai.com/v1", false),
        ] {
            assert_eq!(is_local(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn the_table_knows_hosts_and_models() {
        let profile = |url: &str, model: &str| {
            let url = Url::parse(url).unwrap();
            Profile::new("p", model, Overlay::known(ProviderKind::OpenAi, &url, model))
        };
        let azure = profile("https://x.openai.azure.com/openai/deployments/d", "d");
        assert_eq!(azure.key_header, Some(KeyHeader::ApiKey));
        assert_eq!(azure.max_tokens_field, MaxTokensField::MaxCompletionTokens);
        let mistral = profile("http://localhost:8000/v1", "Devstral-Small");
        assert_eq!(mistral.tool_call_ids, CallIds::Mistral);
        let other = profile("http://localhost:8000/v1", "llama");
        assert_eq!(
            (other.max_tokens_field, other.tool_call_ids),
            (MaxTokensField::MaxTokens, CallIds::Any)
        );
    }
}
