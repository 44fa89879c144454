//! Parses finish reasons and token usage of Chat Completions.

use serde_json::Value;

use crate::llm::{EndReason, TokenUsage};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// The answer ended normally, at its length limit or with a refusal.
    Ended(EndReason),
    /// The answer failed, and a retry may succeed.
    Failed,
    /// An unknown reason, possibly a failure. The answer is complete only if `[DONE]` follows.
    Unknown,
}

/// Known finish reasons in lower case.
const REASONS: &[(&[&str], Finish)] = &[
    (
        &[
            "stop",
            "end_turn",
            "stop_sequence",
            "eos",
            "eos_token",
            "complete",
            "completed",
            "done",
            "end",
            "tool_calls",
            "tool_call",
            "tool_use",
            "function_call",
            "function_calls",
            "tool-calls",
            "stop_str",
        ],
        Finish::Ended(EndReason::Done),
    ),
    (
        &[
            "length",
            "max_tokens",
            "max_token",
            "model_length",
            "max_output_tokens",
            "max_completion_tokens",
            "max_length",
            "token_limit",
            "model_context_window_exceeded",
        ],
        Finish::Ended(EndReason::Length),
    ),
    (
        &[
            "content_filter",
            "content-filter",
            "content_filtered",
            "contentfilter",
            "refusal",
            "safety",
            "recitation",
            "sensitive",
            "blocklist",
            "prohibited_content",
            "spii",
            "guardrail_intervened",
            "moderation",
            "image_safety",
        ],
        Finish::Ended(EndReason::Refused),
    ),
    (
        &[
            "error",
            "network_error",
            "insufficient_system_resource",
            "abort",
            "aborted",
            "cancelled",
            "canceled",
            "failed",
            "malformed_function_call",
            "malformed_response",
            "unexpected_tool_call",
            "timeout",
            "load",
            "engine_error",
            "server_error",
        ],
        Finish::Failed,
    ),
];

impl Finish {
    pub(super) fn new(reason: &str) -> Self {
        let reason = reason.trim().to_ascii_lowercase();
        REASONS
            .iter()
            .find(|(names, _)| names.contains(&reason.as_str()))
            .map_or(Self::Unknown, |(_, finish)| finish.clone())
    }
}

/// Returns `None` if the provider sent no token count. Invalid values are ignored.
pub(super) fn usage(usage: &Value) -> Option<TokenUsage> {
    let input = count(&usage["prompt_tokens"]).or_else(|| count(&usage["input_tokens"]));
    let output = count(&usage["completion_tokens"]).or_else(|| count(&usage["output_tokens"]));
    if input.is_none() && output.is_none() {
        return None;
    }
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    // Some providers count reasoning only in the total.
    let reasoned = count(&usage["total_tokens"]).map_or(0, |total| total.saturating_sub(input.saturating_add(output)));
    let cached = [
        &usage["prompt_tokens_details"]["cached_tokens"],
        &usage["input_tokens_details"]["cached_tokens"],
        &usage["prompt_cache_hit_tokens"],
        &usage["cached_tokens"],
        &usage["cache_read_input_tokens"],
    ];
    Some(TokenUsage {
        input,
        output: if output > 0 { output + reasoned } else { output },
        cached_input: cached.into_iter().find_map(count).unwrap_or(0).min(input),
    })
}

pub(super) fn timings(timings: &Value) -> Option<TokenUsage> {
    let cached_input = count(&timings["cache_n"]).unwrap_or(0);
    Some(TokenUsage {
        input: count(&timings["prompt_n"])? + cached_input,
        output: count(&timings["predicted_n"])?,
        cached_input,
    })
}

fn count(value: &Value) -> Option<u64> {
    let number = value.as_f64().filter(|number| number.is_finite() && *number >= 0.0)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be finite and not negative"
    )]
    Some(value.as_u64().unwrap_or(number as u64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn usage_is_read_in_the_spellings_of_all_providers() {
        let table = [
            (
                json!({"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}),
                (5, 7, 0),
            ),
            (
                json!({"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 20}),
                (5, 15, 0),
            ),
            (
                json!({"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 8}),
                (9, 1, 8),
            ),
            (
                json!({"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 4}),
                (9, 1, 4),
            ),
            (json!({"input_tokens": 9, "output_tokens": 1}), (9, 1, 0)),
        ];
        for (raw, (input, output, cached_input)) in table {
            assert_eq!(
                usage(&raw),
                Some(TokenUsage {
                    input,
                    output,
                    cached_input
                }),
                "{raw}"
            );
        }
        assert_eq!(usage(&json!({"prompt_tokens": -5, "completion_tokens": "7"})), None);
    }
}
