//! The error type of the engine, which sinks and sandbox sources also return.

use std::{borrow::Cow, error::Error as StdError, fmt};

use runyard_contract::error::Code;

/// A result whose error type defaults to [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the engine, the sink or the sandbox source. If the error ends a run, clients receive its code and
/// message, but not its cause.
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    code: Code,
    message: Cow<'static, str>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates an error without a cause.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            inner: Box::new(Inner {
                code,
                message: message.into(),
                cause: None,
            }),
        }
    }

    /// Creates an `INVALID_REQUEST` error.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidRequest, message)
    }

    /// Creates an `INTERNAL` error. Clients may receive the message, but not the cause.
    pub fn internal(message: impl Into<Cow<'static, str>>, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Code::Internal, message).caused_by(cause)
    }

    /// Adds a cause, which is logged and never sent to clients.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.cause = Some(cause.into());
        self
    }

    /// Returns the stable code.
    pub fn code(&self) -> Code {
        self.inner.code
    }

    /// Returns the message, which clients receive if the error ends a run.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Removes and returns the cause.
    pub fn take_cause(&mut self) -> Option<Box<dyn StdError + Send + Sync>> {
        self.inner.cause.take()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.inner.code.as_str(), self.inner.message)?;
        match &self.inner.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner
            .cause
            .as_ref()
            .map(|cause| &**cause as &(dyn StdError + 'static))
    }
}
