//! Decides whether a provider failure is retried, and which error is reported. The HTTP status and known phrases in
//! the provider's message (`fault/words.rs`) determine the result.

mod words;

use std::{error::Error as StdError, time::Duration};

use reqwest::{
    StatusCode,
    header::{HeaderMap, LOCATION},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use self::words::{Kind, kind};
use super::{retry, window};
use crate::llm::LlmError;

/// Maximum characters of a provider's message in an error text.
const MAX_QUOTE: usize = 500;

/// Minimum bytes of a secret that is removed from error texts. A shorter secret could match ordinary text.
const MIN_SECRET: usize = 8;

#[derive(Debug)]
pub(super) enum Fault {
    /// A temporary failure, which is retried.
    Passing {
        message: String,
        /// Pause that the provider requested.
        retry_after: Option<Duration>,
    },
    /// The answer ended in the middle of a tool call, and the engine received no part of the answer. Retried only a
    /// few times.
    Broken(String),
    /// A permanent failure.
    Final(LlmError),
}

impl Fault {
    pub(super) fn passing(message: impl Into<String>) -> Self {
        Self::Passing {
            message: message.into(),
            retry_after: None,
        }
    }

    /// Creates a failure for an error that a provider reports in a response with status 200.
    pub(super) fn reported(error: &Value) -> Self {
        let told = Told::new(error);
        let message = format!("the provider reported an error: {}", told.words);
        classify(told.status, message, &told, retry::in_body(error, &told.words))
    }

    pub(super) fn of_status(status: StatusCode, headers: &HeaderMap, body: &str) -> Self {
        let json = serde_json::from_str::<Value>(body.trim()).ok();
        let told = json.as_ref().map_or_else(|| Told::plain(body), Told::new);
        let mut message = format!("HTTP {}", status.as_u16());
        if let Some(reason) = status.canonical_reason() {
            message = format!("{message} {reason}");
        }
        if status.is_redirection() {
            let target = headers
                .get(LOCATION)
                .and_then(|value| value.to_str().ok())
                .unwrap_or("an unknown address");
            message = format!("{message}: redirected to {target}; check the base URL");
        } else if !told.words.is_empty() {
            message = format!("{message}: {}", told.words);
        }
        let wait =
            retry::in_headers(headers).or_else(|| retry::in_body(json.as_ref().unwrap_or(&Value::Null), &told.words));
        classify(Some(status.as_u16()), message, &told, wait)
    }

    /// Converts an error of the HTTP client. The failure is permanent only if the request is invalid.
    pub(super) fn of_transport(error: &reqwest::Error) -> Self {
        let cause = innermost(error);
        if error.is_builder() {
            return Self::Final(LlmError::Refused(format!("cannot create the request: {cause}")));
        }
        let place = error
            .url()
            .map(|url| format!(" to {}", url.origin().ascii_serialization()))
            .unwrap_or_default();
        Self::passing(if error.is_connect() && error.is_timeout() {
            format!("no connection{place} in time")
        } else if error.is_connect() {
            format!("no connection{place}: {cause}")
        } else {
            format!("the connection broke: {cause}")
        })
    }

    /// Returns the message without the prefix that [`LlmError`] adds.
    pub(super) fn message(self) -> String {
        match self {
            Self::Passing { message, .. } | Self::Broken(message) => message,
            Self::Final(mut error) => std::mem::take(text_of(&mut error)),
        }
    }

    fn text(&mut self) -> &mut String {
        match self {
            Self::Passing { message, .. } | Self::Broken(message) => message,
            Self::Final(error) => text_of(error),
        }
    }
}

fn text_of(error: &mut LlmError) -> &mut String {
    match error {
        LlmError::Credentials(message)
        | LlmError::Refused(message)
        | LlmError::Blocked(message)
        | LlmError::Quota(message)
        | LlmError::UnknownModel(message)
        | LlmError::TooLong { message, .. }
        | LlmError::Unavailable(message)
        | LlmError::Broken(message) => message,
    }
}

/// An error report from a provider.
struct Told {
    words: String,
    /// The whole report in lower case.
    all: String,
    status: Option<u16>,
}

impl Told {
    fn new(json: &Value) -> Self {
        let json = json.as_array().and_then(|list| list.first()).unwrap_or(json);
        // Some providers wrap the error object in an outer object.
        let error = json.get("error").filter(|inner| inner.is_object()).unwrap_or(json);
        let status = ["code", "status", "http_code", "status_code", "error_code"]
            .iter()
            .find_map(|key| status_of(&error[*key]));
        Self {
            words: said(json).unwrap_or_else(|| json.to_string()),
            all: json.to_string().to_lowercase(),
            status,
        }
    }

    fn plain(body: &str) -> Self {
        let body = body.trim();
        let words = if body.starts_with('<') {
            "received an HTML page instead of an answer"
        } else {
            body
        };
        Self {
            words: words.to_owned(),
            all: body.to_lowercase(),
            status: None,
        }
    }
}

fn status_of(value: &Value) -> Option<u16> {
    let number = value
        .as_u64()
        .or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))?;
    u16::try_from(number).ok().filter(|status| (400..600).contains(status))
}

fn said(json: &Value) -> Option<String> {
    if let Some(text) = json.as_str() {
        return Some(text.to_owned());
    }
    let text = [
        "/error/message",
        "/message",
        "/error/error/message",
        "/error/msg",
        "/error_msg",
        "/msg",
        "/detail",
        "/detail/0/msg",
        "/message/detail/0/msg",
        "/title",
        "/detail/message",
        "/error/detail",
        "/error",
        "/base_resp/status_msg",
        "/output/message",
    ]
    .iter()
    .find_map(|pointer| json.pointer(pointer).and_then(Value::as_str))
    .filter(|text| !text.trim().is_empty())?;
    // OpenRouter and LiteLLM put the original provider's message into a separate field.
    let raw = ["/error/metadata/raw", "/metadata/raw"]
        .iter()
        .find_map(|pointer| json.pointer(pointer).and_then(Value::as_str))
        .filter(|raw| !text.contains(raw));
    Some(match raw {
        Some(raw) => format!("{text}: {raw}"),
        None => text.to_owned(),
    })
}

#[expect(clippy::match_same_arms, reason = "the order of the arms decides")]
fn classify(status: Option<u16>, message: String, told: &Told, retry_after: Option<Duration>) -> Fault {
    let is_rate_limited = status == Some(429);
    let passing = |message| Fault::Passing { message, retry_after };
    if window::is_too_long(&told.all, is_rate_limited) {
        let window = window::window(&told.all);
        return Fault::Final(LlmError::TooLong { message, window });
    }
    match (kind(&told.all), status) {
        (Some(Kind::Credentials), _) => Fault::Final(LlmError::Credentials(message)),
        (Some(Kind::Place), _) => Fault::Final(LlmError::Refused(message)),
        (Some(Kind::Blocked), _) => Fault::Final(LlmError::Blocked(message)),
        (Some(Kind::Quota), _) => Fault::Final(LlmError::Quota(message)),
        // Gemini also reports an exceeded quota for limits per minute, but then sends a retry delay.
        (Some(Kind::Plan), _) if retry_after.is_none() => Fault::Final(LlmError::Quota(message)),
        (Some(Kind::UnknownModel), Some(400 | 403 | 404 | 422 | 500) | None) => {
            Fault::Final(LlmError::UnknownModel(message))
        }
        (Some(Kind::Busy), Some(400..=599) | None) => passing(message),
        (_, Some(401 | 403)) => Fault::Final(LlmError::Credentials(message)),
        (_, Some(402)) => Fault::Final(LlmError::Quota(message)),
        (_, Some(408 | 409 | 425 | 429 | 498 | 500 | 502..=504 | 506..=599)) => passing(message),
        (Some(Kind::Refused), None) | (_, Some(_)) => Fault::Final(LlmError::Refused(message)),
        (_, None) => passing(message),
    }
}

/// Removes secrets from providers' messages.
#[derive(Clone, Default)]
pub(super) struct Scrubber {
    secrets: Vec<SecretString>,
}

impl Scrubber {
    /// Ignores short secrets; see [`MIN_SECRET`].
    pub(super) fn new<'s>(secrets: impl IntoIterator<Item = &'s SecretString>) -> Self {
        let is_long = |secret: &&SecretString| secret.expose_secret().trim().len() >= MIN_SECRET;
        Self {
            secrets: secrets.into_iter().filter(is_long).cloned().collect(),
        }
    }

    /// Removes secrets before the message is cut to [`MAX_QUOTE`], because a cut could leave part of a secret.
    pub(super) fn clean(&self, mut fault: Fault) -> Fault {
        let text = fault.text();
        *text = self.quote(text);
        fault
    }

    fn quote(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for secret in &self.secrets {
            let secret = secret.expose_secret().trim();
            if clean.contains(secret) {
                clean = clean.replace(secret, "[key]");
            }
        }
        let words: Vec<&str> = clean.split_whitespace().collect();
        let line = words.join(" ");
        match line.char_indices().nth(MAX_QUOTE) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }
}

/// Returns the innermost cause, which is the most specific one.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
