//! Decides whether a failure of a provider is retried or reported.

use std::{error::Error as StdError, time::Duration};

use genai::Error as GenaiError;
use reqwest::{
    StatusCode,
    header::{HeaderMap, LOCATION},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::retry;
use crate::llm::LlmError;

/// Maximum number of characters quoted from a provider in an error.
const MAX_QUOTE: usize = 500;

/// Phrases that providers use when the conversation exceeds the model's context window.
const TOO_LONG: &[&str] = &[
    "context_length_exceeded",
    "context length",
    "context window",
    "context size",
    "context_window",
    "exceed_context_size",
    "prompt is too long",
    "input is too long",
    "input token count",
    "maximum number of tokens",
    "reduce the length",
    "too many input tokens",
];

/// Failure of one attempt.
#[derive(Debug)]
pub(super) enum Fault {
    /// Temporary: a retry may succeed.
    Passing {
        /// Explanation for people.
        message: String,
        /// Pause that the provider requested; `None` if it requested none.
        retry_after: Option<Duration>,
    },
    /// Permanent: a retry does not help.
    Final(LlmError),
}

impl Fault {
    /// Creates a temporary failure without a requested pause.
    pub(super) fn passing(message: impl Into<String>) -> Self {
        Self::Passing {
            message: message.into(),
            retry_after: None,
        }
    }

    /// Returns the explanation.
    pub(super) fn message(self) -> String {
        match self {
            Self::Passing { message, .. }
            | Self::Final(
                LlmError::Credentials(message)
                | LlmError::Refused(message)
                | LlmError::TooLong(message)
                | LlmError::Unavailable(message)
                | LlmError::Broken(message),
            ) => message,
        }
    }
}

/// Removes the API key from a provider's texts.
#[derive(Clone)]
pub(super) struct Scrubber {
    key: Option<SecretString>,
}

impl Scrubber {
    pub(super) fn new(key: Option<&SecretString>) -> Self {
        Self {
            key: key.filter(|key| !key.expose_secret().trim().is_empty()).cloned(),
        }
    }

    /// Quotes a provider: removes the key first and shortens the text afterwards, so that no part of the key remains at
    /// the cut.
    fn quote(&self, text: &str) -> String {
        let clean = match &self.key {
            Some(key) => text.replace(key.expose_secret().trim(), "[key]"),
            None => text.to_owned(),
        };
        let words: Vec<&str> = clean.split_whitespace().collect();
        let line = words.join(" ");
        match line.char_indices().nth(MAX_QUOTE) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }
}

/// Classifies an error of genai.
pub(super) fn classify(error: &GenaiError, scrubber: &Scrubber) -> Fault {
    match error {
        GenaiError::HttpError {
            status, body, headers, ..
        } => by_status(*status, body, headers, scrubber),
        GenaiError::WebStream { error, .. } => {
            if let Some(inner) = error.downcast_ref::<GenaiError>() {
                return classify(inner, scrubber);
            }
            by_transport(&**error, scrubber)
        }
        GenaiError::ChatResponse { body, .. } => by_event(body, scrubber),
        GenaiError::StreamParse { serde_error, .. } => {
            Fault::passing(format!("the provider's stream is not JSON: {serde_error}"))
        }
        other => Fault::Final(LlmError::Refused(scrubber.quote(&other.to_string()))),
    }
}

fn by_status(status: StatusCode, body: &str, headers: &HeaderMap, scrubber: &Scrubber) -> Fault {
    let said = said(body);
    let mut message = format!("HTTP {status}");
    if status.is_redirection() {
        let target = headers
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("an unknown address");
        message = format!(
            "{message}: redirected to {}; check the base URL",
            scrubber.quote(target)
        );
    } else if !said.is_empty() {
        message = format!("{message}: {}", scrubber.quote(&said));
    }
    match status.as_u16() {
        401 | 403 => Fault::Final(LlmError::Credentials(message)),
        // Providers also return 429 when the balance is used up. In this case, waiting does not help.
        429 if body.contains("insufficient_quota") => Fault::Final(LlmError::Unavailable(message)),
        408 | 409 | 425 | 429 | 500..=599 => Fault::Passing {
            message,
            retry_after: retry::retry_after(headers),
        },
        400 | 413 | 422 if is_too_long(body) => Fault::Final(LlmError::TooLong(message)),
        _ => Fault::Final(LlmError::Refused(message)),
    }
}

/// Classifies an error that arrived as an event of a stream with status 200.
fn by_event(body: &Value, scrubber: &Scrubber) -> Fault {
    let text = body.to_string();
    // Anthropic wraps its error in another object. For OpenAI-compatible providers, genai has already removed this
    // object.
    let error = body.get("error").filter(|inner| inner.is_object()).unwrap_or(body);
    let words = error["message"].as_str().or_else(|| error.as_str()).unwrap_or(&text);
    let message = format!("the provider reports: {}", scrubber.quote(words));
    let status = error["code"]
        .as_u64()
        .or_else(|| error["code"].as_str().and_then(|code| code.parse().ok()));
    let kind = error["type"].as_str().unwrap_or_default();
    match (status, kind) {
        (Some(401 | 403), _) | (_, "authentication_error" | "permission_error") => {
            Fault::Final(LlmError::Credentials(message))
        }
        _ if is_too_long(&text) => Fault::Final(LlmError::TooLong(message)),
        (Some(400 | 402 | 404 | 413 | 422), _) | (_, "invalid_request_error" | "not_found_error") => {
            Fault::Final(LlmError::Refused(message))
        }
        _ => Fault::passing(message),
    }
}

fn by_transport(error: &(dyn StdError + Send + Sync + 'static), scrubber: &Scrubber) -> Fault {
    let cause = scrubber.quote(&innermost(error));
    let Some(http) = error.downcast_ref::<reqwest::Error>() else {
        return Fault::passing(format!("the provider's stream cannot be read: {cause}"));
    };
    if http.is_builder() {
        return Fault::Final(LlmError::Refused(format!("the request cannot be created: {cause}")));
    }
    let place = http
        .url()
        .map(|url| format!(" to {}", url.origin().ascii_serialization()))
        .unwrap_or_default();
    if http.is_connect() && retry::is_timeout(error) {
        Fault::passing(format!("no connection{place} in time"))
    } else if http.is_connect() {
        Fault::passing(format!("no connection{place}: {cause}"))
    } else {
        Fault::passing(format!("the connection broke: {cause}"))
    }
}

/// Returns the innermost cause of an error, which says most precisely what failed.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// Returns the explanation in an error body: `error.message` from JSON, a fixed text for HTML, otherwise the body
/// itself.
fn said(body: &str) -> String {
    let body = body.trim();
    if let Ok(json) = serde_json::from_str::<Value>(body) {
        let json = if json.is_array() { &json[0] } else { &json };
        for pointer in ["/error/message", "/message", "/detail", "/error"] {
            if let Some(text) = json.pointer(pointer).and_then(Value::as_str) {
                return text.to_owned();
            }
        }
    }
    if body.starts_with('<') {
        "received an HTML page instead of an answer".to_owned()
    } else {
        body.to_owned()
    }
}

fn is_too_long(body: &str) -> bool {
    let body = body.to_ascii_lowercase();
    TOO_LONG.iter().any(|words| body.contains(words))
}
