//! Built-in table of known providers and models.

use super::{NOTHING, Overlay, UNKNOWN};
use crate::config::{
    CallIds, Capabilities, EffortStyle, ImageFormats, KeyHeader, MaxTokensField, ProviderKind, ReasoningReturn,
    StructuredOutput, SystemRole, VisionSettings,
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
        hosts: &["api.openai.com", ".openai.azure.com", ".azure.com"],
        models: &[],
        overlay: structured(StructuredOutput::Native),
    },
    // These APIs refuse schemas, or refuse them in streams.
    Entry {
        hosts: &["api.deepseek.com", "bigmodel.cn", "z.ai", "api.groq.com"],
        models: &[],
        overlay: structured(StructuredOutput::Prompt),
    },
    // Gemini 2.5 and earlier: "Function calling with a response mime type: 'application/json' is unsupported".
    Entry {
        hosts: &["generativelanguage.googleapis.com", "aiplatform.googleapis.com"],
        models: &["gemini-3", "gemini-4"],
        overlay: structured(StructuredOutput::Native),
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
    Entry {
        hosts: &[],
        models: SEEING,
        overlay: images(true),
    },
    Entry {
        hosts: &["api.openai.com", ".openai.azure.com", ".azure.com"],
        models: &[],
        overlay: Overlay::of_capabilities(Capabilities {
            vision: VisionSettings {
                images: Some(true),
                formats: Some(ImageFormats::PngJpegWebp),
                ..VisionSettings::UNSET
            },
            ..UNKNOWN
        }),
    },
    Entry {
        hosts: &["openrouter.ai"],
        models: &[],
        overlay: Overlay::of_capabilities(Capabilities {
            vision: VisionSettings {
                formats: Some(ImageFormats::PngJpegWebp),
                ..VisionSettings::UNSET
            },
            ..UNKNOWN
        }),
    },
    // Anthropic scales larger images down, and refuses images of more than 5 MB in Base64.
    Entry {
        hosts: &[],
        models: &["claude"],
        overlay: Overlay::of_capabilities(Capabilities {
            vision: VisionSettings {
                max_side: Some(1_568),
                max_bytes: Some(3_750_000),
                ..VisionSettings::UNSET
            },
            ..UNKNOWN
        }),
    },
    Entry {
        hosts: &[],
        models: BLIND,
        overlay: images(false),
    },
];

/// Substrings of the names of models that see images.
const SEEING: &[&str] = &[
    "chatgpt-4o",
    "gpt-4o",
    "gpt-4.1",
    "gpt-4-turbo",
    "gpt-4-vision",
    "gpt-5",
    "openai/o1",
    "openai/o3",
    "o4-mini",
    "claude",
    "gemini",
    "gemma-3",
    "gemma3",
    "gemma-4",
    "gemma4",
    "pixtral",
    "mistral-medium",
    "mistral-large-3",
    "mistral-small-3.1",
    "mistral-small-3.2",
    "magistral-medium",
    "magistral-small-2509",
    "-vl",
    "vl:",
    "qwen3.5",
    "qvq",
    "llava",
    "bakllava",
    "llama-3.2-11b",
    "llama-3.2-90b",
    "llama-4",
    "llama4",
    "vision",
    "grok-4",
    "glm-4v",
    "glm-4.5v",
    "glm-4.6v",
    "kimi-k2.5",
    "kimi-vl",
    "minicpm-v",
    "moondream",
    "internvl",
    "multimodal",
    "smolvlm",
    "molmo",
    "omni",
];

/// Substrings of the names of models that see no images, although a shorter name is in [`SEEING`] or their host offers
/// models that see.
const BLIND: &[&str] = &[
    "gpt-3.5",
    "gpt-oss",
    "o1-mini",
    "o1-preview",
    "o3-mini",
    "gemma-3-1b",
    "gemma3:1b",
    "gemma3:270m",
    "claude-2",
    "claude-instant",
    "embedding",
    "moderation",
    "whisper",
];

const fn structured(structured_output: StructuredOutput) -> Overlay {
    Overlay::of_capabilities(Capabilities {
        structured_output: Some(structured_output),
        ..UNKNOWN
    })
}

const fn images(images: bool) -> Overlay {
    Overlay::of_capabilities(Capabilities {
        vision: VisionSettings {
            images: Some(images),
            ..VisionSettings::UNSET
        },
        ..UNKNOWN
    })
}

/// Properties that all providers of a kind share. The entries of [`TABLE`] override them.
pub(super) const KINDS: &[(ProviderKind, Overlay)] = &[
    (ProviderKind::Responses, structured(StructuredOutput::Native)),
    (
        ProviderKind::Anthropic,
        Overlay::of_capabilities(Capabilities {
            cache_markers: Some(true),
            structured_output: Some(StructuredOutput::Native),
            vision: formats(ImageFormats::All),
            ..UNKNOWN
        }),
    ),
    (
        ProviderKind::Gemini,
        Overlay::of_capabilities(Capabilities {
            vision: formats(ImageFormats::PngJpegWebp),
            ..UNKNOWN
        }),
    ),
];

const fn formats(formats: ImageFormats) -> VisionSettings {
    VisionSettings {
        images: None,
        max_side: None,
        max_bytes: None,
        max_count: None,
        formats: Some(formats),
    }
}
