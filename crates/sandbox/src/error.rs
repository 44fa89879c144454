//! The error type of this crate, which the server converts to API errors.

use std::{borrow::Cow, error::Error as StdError, fmt};

/// A result whose error type defaults to [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The category of an error. Each category becomes an error code of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// An argument is invalid. [`Error::field`] may name the argument.
    Invalid,
    /// The file or folder does not exist.
    FileNotFound,
    /// The upload does not exist.
    UploadNotFound,
    /// The state of a file or of the sandbox does not allow the operation.
    Conflict,
    /// Another operation changed the file first; a retry may succeed.
    Contended,
    /// A size or a number exceeds its limit.
    TooLarge,
    /// The disk, bubblewrap or the host cannot be used at the moment.
    Unavailable,
    /// An unexpected failure, such as a failed system call.
    Internal,
}

/// An error with its category and message.
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
        Self {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
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

    pub(crate) fn internal(
        message: impl Into<Cow<'static, str>>,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::new(ErrorKind::Internal, message).caused_by(cause)
    }

    #[must_use]
    pub(crate) fn caused_by(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.cause = Some(cause.into());
        self
    }

    /// Returns the category. Callers compare this value, never the message.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// Returns the message, which omits the cause.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Returns the name of the invalid argument, if one argument is the cause.
    pub fn field(&self) -> Option<&str> {
        self.inner.field.as_deref()
    }

    /// Removes and returns the cause.
    pub fn take_cause(&mut self) -> Option<Box<dyn StdError + Send + Sync>> {
        self.inner.cause.take()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
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
