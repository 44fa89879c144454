//! Learns properties of a model from refused requests. A refused request is adapted and sent again. Later requests
//! for the same model use the learned properties.

use super::profile::{NOTHING, Overlay, Profile, UNKNOWN};
use crate::{
    config::{CallIds, Capabilities, EffortStyle, MaxTokensField, ReasoningReturn, SystemRole, VisionSettings},
    llm::{ChatMessage, ModelRequest},
};

/// Lower-case phrases that providers use to refuse a field.
const REFUSING: &[&str] = &[
    "unsupported",
    "not support",
    "unrecognized",
    "unknown",
    "unexpected",
    "extra inputs",
    "extra fields",
    "not permitted",
    "not allowed",
    "additional properties",
    "invalid parameter",
    "invalid field",
];

struct Lesson {
    /// Lower-case phrases that must all occur in the refusal.
    words: &'static [&'static str],
    /// Whether one of the phrases in [`REFUSING`] must also occur.
    refuses: bool,
    overlay: Overlay,
}

/// The first matching rule that changes the model's profile is applied.
const LESSONS: &[Lesson] = &[
    Lesson {
        words: &["max_tokens", "use 'max_completion_tokens'"],
        refuses: false,
        overlay: max_tokens(MaxTokensField::MaxCompletionTokens),
    },
    Lesson {
        words: &["max_tokens", "max_completion_tokens", "instead"],
        refuses: false,
        overlay: max_tokens(MaxTokensField::MaxCompletionTokens),
    },
    Lesson {
        words: &["max_completion_tokens"],
        refuses: true,
        overlay: max_tokens(MaxTokensField::MaxTokens),
    },
    Lesson {
        words: &["stream_options"],
        refuses: true,
        overlay: Overlay {
            stream_options: Some(false),
            ..NOTHING
        },
    },
    Lesson {
        words: &["verified to stream"],
        refuses: false,
        overlay: NO_STREAM,
    },
    Lesson {
        words: &["streaming"],
        refuses: true,
        overlay: NO_STREAM,
    },
    Lesson {
        words: &["length of 9"],
        refuses: false,
        overlay: Overlay::of_capabilities(Capabilities {
            tool_call_ids: Some(CallIds::Mistral),
            ..UNKNOWN
        }),
    },
    Lesson {
        words: &["reasoning_effort"],
        refuses: true,
        overlay: Overlay::of_capabilities(Capabilities {
            reasoning_effort: Some(EffortStyle::None),
            ..UNKNOWN
        }),
    },
    Lesson {
        words: &["missing", "reasoning_content"],
        refuses: false,
        overlay: returning(ReasoningReturn::Required),
    },
    Lesson {
        words: &["reasoning_content", "must be passed back"],
        refuses: false,
        overlay: returning(ReasoningReturn::Required),
    },
    Lesson {
        words: &["reasoning"],
        refuses: true,
        overlay: returning(ReasoningReturn::Never),
    },
    Lesson {
        words: &["encrypted content"],
        refuses: true,
        overlay: returning(ReasoningReturn::Never),
    },
    Lesson {
        words: &["thinking"],
        refuses: true,
        overlay: Overlay::of_capabilities(Capabilities {
            reasoning_effort: Some(EffortStyle::None),
            ..UNKNOWN
        }),
    },
    Lesson {
        words: &["output_config"],
        refuses: true,
        overlay: Overlay::of_capabilities(Capabilities {
            reasoning_effort: Some(EffortStyle::None),
            ..UNKNOWN
        }),
    },
    Lesson {
        words: &["cache_control"],
        refuses: true,
        overlay: Overlay::of_capabilities(Capabilities {
            cache_markers: Some(false),
            ..UNKNOWN
        }),
    },
    // Only refusals of all images are listed here. A refusal of one image must not hide the images of other runs.
    // OpenAI: "image_url is only supported by certain models".
    Lesson {
        words: &["image_url", "only supported by certain models"],
        refuses: false,
        overlay: BLIND,
    },
    // vLLM: "… is not a multimodal model".
    Lesson {
        words: &["not a multimodal model"],
        refuses: false,
        overlay: BLIND,
    },
    // llama.cpp: "image input is not supported"; OpenRouter: "No endpoints found that support image input".
    Lesson {
        words: &["image input is not supported"],
        refuses: false,
        overlay: BLIND,
    },
    Lesson {
        words: &["no endpoints found", "support image input"],
        refuses: false,
        overlay: BLIND,
    },
    // DeepSeek and others: "unknown variant `image_url`, expected `text`".
    Lesson {
        words: &["unknown variant `image_url`"],
        refuses: false,
        overlay: BLIND,
    },
    // Ollama: "this model is missing data required for image input".
    Lesson {
        words: &["missing data required for image input"],
        refuses: false,
        overlay: BLIND,
    },
    Lesson {
        words: &["parametersjsonschema"],
        refuses: true,
        overlay: Overlay::of_capabilities(Capabilities {
            json_schema: Some(false),
            ..UNKNOWN
        }),
    },
    Lesson {
        words: &["system", "role"],
        refuses: true,
        overlay: Overlay::of_capabilities(Capabilities {
            system_role: Some(SystemRole::User),
            ..UNKNOWN
        }),
    },
    Lesson {
        words: &["'user' after role 'tool'"],
        refuses: false,
        overlay: Overlay::of_capabilities(Capabilities {
            assistant_after_tool: Some(true),
            ..UNKNOWN
        }),
    },
    Lesson {
        words: &["roles must alternate"],
        refuses: false,
        overlay: Overlay::of_capabilities(Capabilities {
            merges_turns: Some(true),
            assistant_after_tool: Some(true),
            ..UNKNOWN
        }),
    },
];

const BLIND: Overlay = Overlay::of_capabilities(Capabilities {
    vision: VisionSettings {
        images: Some(false),
        ..VisionSettings::UNSET
    },
    ..UNKNOWN
});

const NO_STREAM: Overlay = Overlay {
    stream: Some(false),
    ..NOTHING
};

const fn max_tokens(field: MaxTokensField) -> Overlay {
    Overlay {
        max_tokens_field: Some(field),
        ..NOTHING
    }
}

const fn returning(reasoning: ReasoningReturn) -> Overlay {
    Overlay::of_capabilities(Capabilities {
        returns_reasoning: Some(reasoning),
        ..UNKNOWN
    })
}

/// Returns the properties to use after a refusal; `None` if no rule changes the profile.
pub(super) fn lesson(words: &str, overlay: Overlay, profile: &Profile, model: &str) -> Option<Overlay> {
    let words = words.to_lowercase();
    let refuses = REFUSING.iter().any(|phrase| words.contains(phrase));
    LESSONS
        .iter()
        .filter(|lesson| lesson.words.iter().all(|phrase| words.contains(phrase)) && (refuses || !lesson.refuses))
        .map(|lesson| {
            let mut learned = overlay;
            learned.lay(lesson.overlay);
            learned
        })
        .find(|learned| Profile::new(&profile.provider, model, *learned) != *profile)
}

/// Lower-case phrases that providers use to refuse the provider data ([`Carried`](crate::llm::Carried)) of earlier
/// answers. All phrases of an entry must occur. For example, a signature becomes invalid if earlier messages were
/// shortened.
const CARRIED_REFUSED: &[&[&str]] = &[
    // Anthropic.
    &["signature", "thinking"],
    &["thinking", "cannot be modified"],
    &["expected `thinking`"],
    // Gemini.
    &["thought signature", "invalid"],
    &["thought signature", "corrupted"],
    &["thought signature", "not valid"],
    &["thought_signature", "invalid"],
    // OpenAI.
    &["encrypted content", "could not be"],
    &["invalid_encrypted_content"],
    &["item with id", "not found"],
    &["was provided without its required"],
];

/// Lower-case phrases for the output schema of a request. A refusal with one of them concerns the schema.
const OUTPUT_WORDS: &[&str] = &[
    "response_format",
    "json_schema",
    "text.format",
    "output_config.format",
    "output_format",
    "responsemimetype",
    "response_mime_type",
    "response mime type",
    "responsejsonschema",
    "response_json_schema",
    "responseschema",
    "response_schema",
    "structured output",
    "grammar",
];

/// Returns whether the provider refused the output schema of a request.
pub(super) fn refuses_output(words: &str) -> bool {
    let words = words.to_lowercase();
    OUTPUT_WORDS.iter().any(|phrase| words.contains(phrase))
}

/// Returns whether the provider refused the provider data of earlier answers.
pub(super) fn refuses_carried(words: &str) -> bool {
    let words = words.to_lowercase();
    CARRIED_REFUSED
        .iter()
        .any(|entry| entry.iter().all(|phrase| words.contains(phrase)))
}

/// Removes the provider data of earlier answers. Returns whether the request contained any.
pub(super) fn forget_carried(request: &mut ModelRequest) -> bool {
    let mut has_forgotten = false;
    for message in &mut request.messages {
        if let ChatMessage::Assistant { carried, .. } = message {
            has_forgotten |= carried.take().is_some();
        }
    }
    has_forgotten
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_signatures_are_recognized() {
        for words in [
            "messages.1.content.0: Invalid `signature` in `thinking` block. The block is bound to a different conversation.",
            "messages.3: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.",
            "Corrupted thought signature.",
            "The encrypted content gAAA could not be verified.",
            "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false.",
        ] {
            assert!(refuses_carried(words), "{words}");
        }
        assert!(!refuses_carried(
            "Function call is missing a thought_signature in functionCall parts."
        ));
    }

    #[test]
    fn a_refusal_of_a_form_teaches_another_form() {
        let start = Overlay::default();
        let profile = Profile::new("p", "m", start);
        let learn = |words: &str| lesson(words, start, &profile, "m").map(|learned| Profile::new("p", "m", learned));
        let field = learn(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        );
        assert_eq!(
            field.map(|profile| profile.max_tokens_field),
            Some(MaxTokensField::MaxCompletionTokens)
        );
        let ids = learn("Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9.");
        assert_eq!(ids.map(|profile| profile.tool_call_ids), Some(CallIds::Mistral));
        let options = learn("body -> stream_options: Extra inputs are not permitted");
        assert_eq!(options.map(|profile| profile.stream_options), Some(false));
        assert_eq!(learn("messages must not be empty"), None);
        assert_eq!(learn("max_tokens must be at least 1"), None);
    }
}
