//! The outcome of a tool call.

use rmcp::{
    model::ErrorCode,
    service::ServiceError,
    transport::streamable_http_client::{HttpStatusError, StreamableHttpError},
};

use crate::{
    error::{cause, described, quoted},
    questions::Questions,
    rendering::Rendered,
};

/// The end of a tool call. Except after [`Outcome::NotStarted`], the tool may have had an effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The tool returned a result.
    Answered(Rendered),
    /// The tool ran and failed, or its server reported an error.
    Reported(Rendered),
    /// The answer was lost, and the effect is unknown. Do not repeat the call.
    Unknown(String),
    /// The server never started the tool.
    NotStarted(String),
    /// The server has questions. The caller repeats the call with replies ([`crate::Continuation`]).
    Asked(Questions),
    /// The server requires an input that this client does not provide, so the call cannot end.
    Unanswerable(String),
}

impl Outcome {
    pub(crate) fn of_error(error: &ServiceError) -> Self {
        let why = described(error);
        match error {
            ServiceError::McpError(error) if is_refusal(error.code) => {
                Self::NotStarted(format!("the server refused the call: {}", quoted(&error.message)))
            }
            ServiceError::McpError(_) => Self::Reported(Rendered {
                text: why,
                ..Rendered::default()
            }),
            ServiceError::TransportSend(sent) if never_arrived(sent.error.as_ref()) => Self::NotStarted(why),
            _ => Self::Unknown(why),
        }
    }
}

fn is_refusal(code: ErrorCode) -> bool {
    [
        ErrorCode::METHOD_NOT_FOUND,
        ErrorCode::INVALID_PARAMS,
        ErrorCode::INVALID_REQUEST,
        ErrorCode::PARSE_ERROR,
    ]
    .contains(&code)
}

/// Returns whether a request cannot have reached a tool: the connection was refused, or the server refused the
/// request before reading it.
fn never_arrived(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut current = Some(error);
    while let Some(error) = current {
        if error
            .downcast_ref::<reqwest::Error>()
            .is_some_and(reqwest::Error::is_connect)
        {
            return true;
        }
        let is_refused = error
            .downcast_ref::<StreamableHttpError<reqwest::Error>>()
            .is_some_and(|error| match error {
                StreamableHttpError::SessionExpired
                | StreamableHttpError::AuthRequired(_)
                | StreamableHttpError::InsufficientScope(_) => true,
                StreamableHttpError::HttpStatus(HttpStatusError { status, .. }) => *status == 429,
                _ => false,
            });
        if is_refused {
            return true;
        }
        current = cause(error);
    }
    false
}
