//! The error type of the transcoder. A [`Faults`](crate::Faults) renders it as an HTTP response.

use std::{borrow::Cow, error::Error as StdError, fmt};

use tonic::Status;

/// A result whose error type defaults to [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The category of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request or a rule in the descriptors is invalid.
    Invalid,
    /// The request exceeds a size limit.
    TooLarge,
    /// No rule matches the path.
    NoSuchPath,
    /// A rule matches the path, but no rule for this path has the request's HTTP method.
    MethodNotAllowed,
    /// The gRPC method does not accept this media type or content encoding.
    UnsupportedMedia,
    /// The call failed, or its response is invalid.
    Internal,
}

/// An error of the transcoder: its category, a message for clients, the request field, and a cause for logs.
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

    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn invalid_field(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::invalid(message);
        error.inner.field = Some(field.into());
        error
    }

    /// Creates an internal error. Clients may receive `message`, but not `cause`.
    pub(crate) fn internal(
        message: impl Into<Cow<'static, str>>,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::new(ErrorKind::Internal, message).caused_by(cause)
    }

    pub(crate) fn caused_by(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.cause = Some(cause.into());
        self
    }

    /// Returns the category, which determines the HTTP status.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// Returns the message, which clients may receive.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Returns the path of the invalid request field; `None` if the error does not concern a single field.
    pub fn field(&self) -> Option<&str> {
        self.inner.field.as_deref()
    }

    /// Returns the cause, which is for logs and must not be sent to clients.
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

/// Reason why a request failed.
#[derive(Debug)]
pub enum Refused {
    /// The transcoder refused the request.
    Error(Error),
    /// A gRPC Status, for example from a [`FormFiles`](crate::FormFiles) store.
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
