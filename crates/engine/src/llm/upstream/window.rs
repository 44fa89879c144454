//! Recognizes errors about conversations that exceed the context window, and finds the window size in the error
//! message.

use std::sync::LazyLock;

use regex::Regex;

/// Lower-case phrases in errors about the context window.
const TOO_LONG: &[&str] = &[
    // OpenAI, Azure, vLLM, DeepSeek, Groq, Together, LiteLLM.
    "context_length_exceeded",
    "contextwindowexceeded",
    "context length",
    "context window",
    "context_window",
    "reduce the length",
    "string_above_max_length",
    "request too large",
    // llama.cpp.
    "exceed_context_size",
    "context size",
    // Anthropic, Bedrock, Vertex.
    "prompt is too long",
    "input is too long",
    "exceed context limit",
    "input length and `max_tokens` exceed",
    "request_too_large",
    "request exceeds the maximum size",
    // Gemini.
    "input token count",
    "maximum number of tokens",
    "exceeds the maximum number of input tokens",
    // Kimi.
    "exceeded model token limit",
    // xAI.
    "maximum prompt length",
    // Qwen.
    "range of input length",
    "input length should be",
    // GLM, Mistral, MiniMax, Cohere, Copilot and others.
    "prompt exceeds max length",
    "too large for model with",
    "exceeds model's maximum",
    "context limit",
    "prompt token count",
    "too many input tokens",
    "too many tokens",
    "token limit exceeded",
    "tokens exceed",
    "exceeds the token limit",
    "prompt too long",
    "input too long",
    "input exceeds",
    "prompt length exceeds",
    "longer than the model's",
    "maximum input length",
    "max input length",
    "max_model_len",
    "max_prompt_tokens",
    "exceeds the available context",
    // Text Generation Inference.
    "`inputs` tokens + `max_new_tokens`",
    "inputs must have less than",
];

/// Lower-case phrases in rate limit errors. Such errors mention tokens, but are not about the context window.
const RATE: &[&str] = &[
    "per min",
    "per day",
    "rate limit",
    "rate_limit",
    "tpm",
    "too many requests",
];

/// Patterns whose first capture group is the window size in tokens.
static WINDOW: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r#"n_ctx"?\s*[:=]\s*(\d+)"#,
        r"context size \((\d+)",
        r"context size (?:of|is) (\d+)",
        r"context length(?: is| of|:)? \(?(?:only )?(\d+)",
        r"context window (?:is|of) (\d+)",
        r"context window size \(?(\d+)",
        r"context window limit (?:is|of) (\d+)",
        r"maximum prompt length (?:is|of) (\d+)",
        r"token limit: (\d+)",
        r"tokens > (\d+) maximum",
        r"\d+ \+ \d+ > (\d+)",
        r"input length should be \[\d+, ?(\d+)\]",
        r"exceeds the limit of (\d+)",
        r"must be <= (\d+)",
        r"maximum number of (?:input )?tokens allowed \(?(\d+)",
        r"maximum of (\d+) tokens",
        r"limit (?:of|is) (\d+) tokens",
        r"max_model_len\D{1,12}(\d+)",
        r"less than (\d+) tokens",
        r"while limit is (\d+)",
        r"model with (\d+) maximum context",
    ]
    .iter()
    .filter_map(|pattern| Regex::new(pattern).ok())
    .collect()
});

/// Minimum plausible window in tokens. Smaller numbers are ignored.
const MIN_WINDOW: u64 = 256;

/// Returns whether an error message, in lower case, is about the context window. `is_rate_limited` is true for the
/// HTTP status 429.
pub(super) fn is_too_long(words: &str, is_rate_limited: bool) -> bool {
    if is_rate_limited {
        // A single request above the per-minute limit can never succeed.
        return words.contains("request too large");
    }
    // Every error of LiteLLM contains the setting `context_window_fallbacks`, which would match `context_window`.
    let words = words.replace("context_window_fallbacks", "");
    TOO_LONG.iter().any(|phrase| words.contains(phrase)) && !RATE.iter().any(|phrase| words.contains(phrase))
        || words.contains("request too large for model")
}

/// Returns the window size in tokens, if the lower-case message contains one.
pub(super) fn window(words: &str) -> Option<u64> {
    let digits = without_separators(words);
    WINDOW
        .iter()
        .find_map(|pattern| pattern.captures(&digits)?.get(1)?.as_str().parse().ok())
        .filter(|window| *window >= MIN_WINDOW)
}

/// Removes the separators between groups of digits: `128,000` becomes `128000`.
fn without_separators(words: &str) -> String {
    let bytes = words.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    words
        .char_indices()
        .filter(|(at, character)| {
            let groups = *character == ','
                && *at > 0
                && is_digit(at - 1)
                && (1..=3).all(|next| is_digit(at + next))
                && !is_digit(at + 4);
            !groups
        })
        .map(|(_, character)| character)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_and_its_window_are_recognized() {
        let table = [
            (
                "invalid request: your request exceeded model token limit: 262144 (requested: 291351)",
                Some(262_144),
            ),
            (
                "this model's maximum prompt length is 131072 but the request contains 537812 tokens.",
                Some(131_072),
            ),
            (
                "input length and `max_tokens` exceed context limit: 190012 + 20000 > 200000, decrease input length",
                Some(200_000),
            ),
            (
                "<400> internalerror.algo.invalidparameter: range of input length should be [1, 129024]",
                Some(129_024),
            ),
            ("prompt exceeds max length", None),
            (
                "input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. given: 9000",
                Some(8193),
            ),
            ("prompt token count of 71372 exceeds the limit of 64000", Some(64_000)),
            (
                "request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it",
                Some(8192),
            ),
            ("prompt is too long: 208310 tokens > 200000 maximum", Some(200_000)),
            (
                "this model's maximum context length is 128,000 tokens. however",
                Some(128_000),
            ),
            (
                "the input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                Some(1_048_576),
            ),
        ];
        for (words, size) in table {
            assert!(is_too_long(words, false), "{words}");
            assert_eq!(window(words), size, "{words}");
        }
        assert!(!is_too_long("too many tokens per minute (tpm); try again in 3s", false));
        assert!(!is_too_long("max_tokens must be positive", false));
    }
}
