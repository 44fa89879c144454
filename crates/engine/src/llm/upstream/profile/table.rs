//! Built-in table of known providers and models.

use super::{NOTHING, Overlay, UNKNOWN};
use crate::config::{
    CallIds, Capabilities, EffortStyle, KeyHeader, MaxTokensField, ProviderKind, ReasoningReturn, SystemRole,
};

pub(super) struct Entry {
    /// Suffixes of host names. An empty list matches every host.
    pub(super) hosts: &'static [&'static str],
    /// Lower-case parts of model names. An empty list matches every model.
    pub(super) models: &'static [&'static str],
    pub(super) overlay: Overlay,
}

/// Properties of known providers and models. All entries that match host and model apply, and later entries override
/// earlier ones.
pub(super) const TABLE: &[Entry] = &[
    Entry {
        hosts: &["api.openai.com", ".openai.azure.com", ".azure.com"],
        models: &[],
        overlay: Overlay {
            max_tokens_field: Some(MaxTokensField::MaxCompletionTokens),
            ..NOTHING
        },
    },
    Entry {
        hosts: &[".openai.azure.com", ".azure.com"],
        models: &[],
        overlay: Overlay::of_capabilities(Capabilities {
            key_header: Some(KeyHeader::ApiKey),
            ..UNKNOWN
        }),
    },
    Entry {
        hosts: &[],
        models: &[
            "mistral",
            "magistral",
            "devstral",
            "codestral",
            "ministral",
            "mixtral",
            "pixtral",
        ],
        overlay: Overlay::of_capabilities(Capabilities {
            tool_call_ids: Some(CallIds::Mistral),
            assistant_after_tool: Some(true),
            tool_result_name: Some(true),
            ..UNKNOWN
        }),
    },
    Entry {
        hosts: &["api.mistral.ai"],
        models: &[],
        overlay: Overlay {
            stream_options: Some(false),
            capabilities: Capabilities {
                tool_call_ids: Some(CallIds::Mistral),
                assistant_after_tool: Some(true),
                tool_result_name: Some(true),
                reasoning_effort: Some(EffortStyle::None),
                ..UNKNOWN
            },
            ..NOTHING
        },
    },
    Entry {
        hosts: &[],
        models: &["kimi"],
        overlay: Overlay::of_capabilities(Capabilities {
            tool_call_ids: Some(CallIds::Kimi),
            tool_result_name: Some(true),
            ..UNKNOWN
        }),
    },
    Entry {
        hosts: &["generativelanguage.googleapis.com", "aiplatform.googleapis.com"],
        models: &[],
        overlay: Overlay::of_capabilities(Capabilities {
            tool_result_name: Some(true),
            ..UNKNOWN
        }),
    },
    Entry {
        hosts: &[],
        models: &["gemma"],
        overlay: Overlay::of_capabilities(Capabilities {
            system_role: Some(SystemRole::User),
            ..UNKNOWN
        }),
    },
    Entry {
        hosts: &["openrouter.ai"],
        models: &[],
        overlay: Overlay::of_capabilities(Capabilities {
            reasoning_effort: Some(EffortStyle::Object),
            returns_reasoning: Some(ReasoningReturn::Always),
            ..UNKNOWN
        }),
    },
    Entry {
        hosts: &["openrouter.ai"],
        models: &["claude"],
        overlay: Overlay::of_capabilities(Capabilities {
            cache_markers: Some(true),
            ..UNKNOWN
        }),
    },
    Entry {
        hosts: &["api.groq.com"],
        models: &[],
        overlay: Overlay::of_capabilities(Capabilities {
            returns_reasoning: Some(ReasoningReturn::Never),
            ..UNKNOWN
        }),
    },
    Entry {
        hosts: &[
            "api.deepseek.com",
            "bigmodel.cn",
            "z.ai",
            "moonshot.ai",
            "moonshot.cn",
            "volces.com",
        ],
        models: &[],
        overlay: Overlay::of_capabilities(Capabilities {
            reasoning_effort: Some(EffortStyle::Thinking),
            ..UNKNOWN
        }),
    },
    Entry {
        hosts: &["aliyuncs.com", "siliconflow.com", "siliconflow.cn"],
        models: &[],
        overlay: Overlay::of_capabilities(Capabilities {
            reasoning_effort: Some(EffortStyle::EnableThinking),
            ..UNKNOWN
        }),
    },
];

/// Properties that all providers of a kind share. The entries of [`TABLE`] override them.
pub(super) const KINDS: &[(ProviderKind, Overlay)] = &[(
    ProviderKind::Anthropic,
    Overlay::of_capabilities(Capabilities {
        cache_markers: Some(true),
        ..UNKNOWN
    }),
)];
