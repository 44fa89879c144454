//! The crate's error type: a stable code, a message for people and, for some codes, typed details. `wire/status.rs`
//! and `wire/fault.rs` convert it for gRPC and HTTP.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

pub use runyard_contract::error::{Code, ErrorDetails, Kind};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    code: Code,
    message: Cow<'static, str>,
    field: Option<Cow<'static, str>>,
    details: Option<ErrorDetails>,
    retry_after: Option<Duration>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Clients may see the message.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            inner: Box::new(Inner {
                code,
                message: message.into(),
                field: None,
                details: None,
                retry_after: None,
                cause: None,
            }),
        }
    }

    /// For an error that is not about a single field.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidRequest, message)
    }

    pub fn invalid_field(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::new(Code::InvalidRequest, message);
        error.inner.field = Some(field.into());
        error
    }

    /// Clients may see the message. The cause is only logged.
    pub fn internal(message: impl Into<Cow<'static, str>>, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Code::Internal, message).caused_by(cause)
    }

    pub fn panicked() -> Self {
        let message = "the request failed because of an internal error; see the server's log";
        Self::new(Code::Internal, message)
    }

    #[must_use]
    pub fn with_details(mut self, details: ErrorDetails) -> Self {
        self.inner.details = Some(details);
        self
    }

    /// Sets how long the caller should wait before a retry.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.inner.retry_after = Some(wait);
        self
    }

    /// The cause is logged and never sent to the client.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.cause = Some(cause.into());
        self
    }

    /// Puts the failed operation, such as "Failed to start agent", before the message of an internal error. Other
    /// errors stay unchanged.
    #[must_use]
    pub fn doing(mut self, what: &str) -> Self {
        if self.code() == Code::Internal {
            self.inner.message = format!("{what}: {}", self.inner.message).into();
        }
        self
    }

    /// Replaces the message.
    #[must_use]
    pub fn saying(mut self, message: String) -> Self {
        self.inner.message = message.into();
        self
    }

    pub fn code(&self) -> Code {
        self.inner.code
    }

    /// The kind of the code determines the HTTP status and the gRPC code.
    pub fn kind(&self) -> Kind {
        self.inner.code.kind()
    }

    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The request field that caused the error; `None` if no single field is the cause.
    pub fn field(&self) -> Option<&str> {
        self.inner.field.as_deref()
    }

    pub fn details(&self) -> Option<&ErrorDetails> {
        self.inner.details.as_ref()
    }

    pub fn retry_after_hint(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    pub fn cause(&self) -> Option<&(dyn StdError + Send + Sync)> {
        self.inner.cause.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.inner.code.as_str(), self.inner.message)?;
        if let Some(cause) = &self.inner.cause {
            write!(f, " ({cause})")?;
        }
        Ok(())
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

impl From<runyard_engine::Error> for Error {
    fn from(mut error: runyard_engine::Error) -> Self {
        let mut converted = Self::new(error.code(), error.message().to_owned());
        converted.inner.cause = error.take_cause();
        converted
    }
}

/// For errors that the worker reports to the engine.
impl From<Error> for runyard_engine::Error {
    fn from(error: Error) -> Self {
        let Inner {
            code, message, cause, ..
        } = *error.inner;
        let converted = Self::new(code, message);
        match cause {
            Some(cause) => converted.caused_by(cause),
            None => converted,
        }
    }
}

impl From<runyard_sandbox::Error> for Error {
    fn from(mut error: runyard_sandbox::Error) -> Self {
        use runyard_sandbox::ErrorKind;
        let code = match error.kind() {
            ErrorKind::Invalid => Code::InvalidRequest,
            ErrorKind::FileNotFound => Code::FileNotFound,
            ErrorKind::UploadNotFound => Code::UploadNotFound,
            ErrorKind::Conflict => Code::Conflict,
            ErrorKind::Contended => Code::Contended,
            ErrorKind::TooLarge => Code::TooLarge,
            ErrorKind::Unavailable => Code::Unavailable,
            ErrorKind::Internal => Code::Internal,
        };
        let mut converted = Self::new(code, error.message().to_owned());
        converted.inner.field = error.field().map(|field| field.to_owned().into());
        converted.inner.cause = error.take_cause();
        converted
    }
}
