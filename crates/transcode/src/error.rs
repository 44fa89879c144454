//! The error of the transcoder, and the reasons for which it refuses a request.
//!
//! An error does not depend on an error format: a [`Faults`](crate::Faults) renders it as an HTTP response.

use std::{borrow::Cow, error::Error as StdError, fmt};

use tonic::Status;

/// A result whose error type defaults to [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The category of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request or a rule is invalid.
    Invalid,
    /// The request exceeds a size limit.
    TooLarge,
    /// No rule has the path of the request.
    NoSuchPath,
    /// The path exists, but not for the HTTP method of the request.
    MethodNotAllowed,
    /// The method does not accept a body of this media type or encoding.
    UnsupportedMedia,
    /// The service sent an invalid response, or the call failed.
    Internal,
}

/// An error of the transcoder.
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    field: Option<Cow<'static, str>>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self {
            inner: Box::new(Inner {
                kind,
                message,
                field: None,
                cause: None,
            }),
        }
    }

    /// An `Invalid` error that is not about a single field.
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// An `Invalid` error about one field.
    pub(crate) fn invalid_field(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::invalid(message);
        error.inner.field = Some(field.into());
        error
    }

    /// An `Internal` error. Clients may see the message; the cause is only logged.
    pub(crate) fn internal(
        message: impl Into<Cow<'static, str>>,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::new(ErrorKind::Internal, message).caused_by(cause)
    }

    /// Adds a cause.
    pub(crate) fn caused_by(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.cause = Some(cause.into());
        self
    }

    /// Returns the category of the error.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// Returns the message for people. Clients may see it.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Returns the path of the request field that caused the error; `None` if no single field is the cause.
    pub fn field(&self) -> Option<&str> {
        self.inner.field.as_deref()
    }

    /// Returns the cause, if any. It must not be sent to clients.
    pub fn cause(&self) -> Option<&(dyn StdError + Send + Sync)> {
        self.inner.cause.as_deref()
    }

    /// Removes the cause and returns it.
    pub fn take_cause(&mut self) -> Option<Box<dyn StdError + Send + Sync>> {
        self.inner.cause.take()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        if let Some(cause) = &self.inner.cause {
            write!(f, " ({cause})")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let cause = self.inner.cause.as_ref();
        cause.map(|cause| &**cause as &(dyn StdError + 'static))
    }
}

/// Reason why a request is not passed to the service.
#[derive(Debug)]
pub enum Refused {
    /// The transcoder refuses the request.
    Error(Error),
    /// The store of [`FormFiles`](crate::FormFiles) refuses a file.
    Status(Status),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}
