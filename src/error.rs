//! The one error type.
//!
//! A core error is a stable code, a sentence for people, and sometimes typed facts. It knows no transport: `wire/status.rs`
//! makes a `google.rpc.Status` of it, and `wire/http/fault.rs` renders that over HTTP.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

/// A result with the crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an error means for the caller; each kind has one gRPC code and one HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is wrong and will be wrong again.
    Invalid,
    /// Nobody knows who asks.
    Unauthenticated,
    /// A role or scope is missing.
    Forbidden,
    /// There is no such thing, or it is another account's.
    Missing,
    /// There is such a thing already.
    Existing,
    /// The state of the thing does not allow it.
    Conflicting,
    /// Somebody else was faster; trying again may work.
    Contended,
    /// The plan does not allow more.
    OverPlan,
    /// The plan does not include the model.
    NotInPlan,
    /// Too many requests.
    Throttled,
    /// The request is too large.
    TooLarge,
    /// Something that is needed is away for now.
    Unavailable,
    /// The caller's deadline has passed.
    Expired,
    /// The caller has gone.
    Cancelled,
    /// The contract names the method, but this build does not serve it.
    Unimplemented,
    /// Our fault.
    Internal,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal => $kind:ident,)+) => {
        /// The stable code of an error, as clients see it in `ErrorInfo.reason` and `X-Error-Code`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The text that travels.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $text,)+ } }

            /// What the code means for the caller.
            pub const fn kind(self) -> Kind { match self { $(Self::$name => Kind::$kind,)+ } }

            /// One sentence for docs/errors.md.
            pub const fn describe(self) -> &'static str { match self { $(Self::$name => concat!($($doc,)+),)+ } }
        }
    };
}

codes! {
    /// The request is malformed or breaks a rule; the sentence names the field.
    InvalidRequest = "INVALID_REQUEST" => Invalid,
    /// The model is not in the model table.
    UnknownModel = "UNKNOWN_MODEL" => Invalid,
    /// The cursor lies beyond the end of the run.
    CursorBeyondEnd = "CURSOR_BEYOND_END" => Invalid,
    /// The page token is not one of ours, or belongs to another query or caller.
    InvalidPageToken = "INVALID_PAGE_TOKEN" => Invalid,
    /// There is no valid token.
    NotAuthenticated = "NOT_AUTHENTICATED" => Unauthenticated,
    /// A role or scope is missing.
    PermissionDenied = "PERMISSION_DENIED" => Forbidden,
    /// The token is valid, but its subject has no account, and the server makes none by itself.
    RegistrationClosed = "REGISTRATION_CLOSED" => Forbidden,
    /// There is no such agent.
    AgentNotFound = "AGENT_NOT_FOUND" => Missing,
    /// The agent has no such version.
    AgentVersionNotFound = "AGENT_VERSION_NOT_FOUND" => Missing,
    /// There is no such thread.
    ThreadNotFound = "THREAD_NOT_FOUND" => Missing,
    /// There is no such project.
    ProjectNotFound = "PROJECT_NOT_FOUND" => Missing,
    /// There is no such run.
    RunNotFound = "RUN_NOT_FOUND" => Missing,
    /// There is no such sandbox.
    SandboxNotFound = "SANDBOX_NOT_FOUND" => Missing,
    /// There is no such file.
    FileNotFound = "FILE_NOT_FOUND" => Missing,
    /// There is no such upload.
    UploadNotFound = "UPLOAD_NOT_FOUND" => Missing,
    /// There is no such account; only administrators are told.
    AccountNotFound = "ACCOUNT_NOT_FOUND" => Missing,
    /// There is no such API key.
    ApiKeyNotFound = "API_KEY_NOT_FOUND" => Missing,
    /// No method answers at this path.
    NoSuchPath = "NO_SUCH_PATH" => Missing,
    /// The request key was used with another body.
    RequestKeyReused = "REQUEST_KEY_REUSED" => Conflicting,
    /// The thread has a running run and the caller asked not to wait.
    ThreadBusy = "THREAD_BUSY" => Conflicting,
    /// The upload has not all its bytes yet, or the chunk leaves a gap.
    UploadIncomplete = "UPLOAD_INCOMPLETE" => Conflicting,
    /// The thing is in use or in a state that does not allow it.
    Conflict = "CONFLICT" => Conflicting,
    /// Somebody else changed it first.
    Contended = "CONTENDED" => Contended,
    /// The balance is used up.
    InsufficientCredits = "INSUFFICIENT_CREDITS" => OverPlan,
    /// The plan allows no more concurrent runs.
    AgentRunLimitExceeded = "AGENT_RUN_LIMIT_EXCEEDED" => OverPlan,
    /// The plan allows no more threads.
    ThreadLimitExceeded = "THREAD_LIMIT_EXCEEDED" => OverPlan,
    /// The plan allows no more projects.
    ProjectLimitExceeded = "PROJECT_LIMIT_EXCEEDED" => OverPlan,
    /// The plan allows no more agents.
    AgentLimitExceeded = "AGENT_LIMIT_EXCEEDED" => OverPlan,
    /// The plan does not include the model.
    ModelAccessDenied = "MODEL_ACCESS_DENIED" => NotInPlan,
    /// Too many requests, open streams, new accounts or waiting uploads; Retry-After says when to come back.
    Throttled = "THROTTLED" => Throttled,
    /// The body, the file or the message is larger than allowed.
    TooLarge = "TOO_LARGE" => TooLarge,
    /// Something that is needed is away for now.
    Unavailable = "UNAVAILABLE" => Unavailable,
    /// The caller's deadline has passed.
    DeadlineExceeded = "DEADLINE_EXCEEDED" => Expired,
    /// The caller has gone.
    Cancelled = "CANCELLED" => Cancelled,
    /// The method is not served by this build.
    Unimplemented = "UNIMPLEMENTED" => Unimplemented,
    /// Our fault; the log has the cause under the request's id.
    Internal = "INTERNAL" => Internal,
}

/// The typed facts of a refusal by the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The threads that hold the caller's slots.
    pub running_thread_ids: Vec<String>,
    /// How many runs the caller has running.
    pub running_count: Option<i32>,
    /// How many of the limited things the caller has.
    pub current_count: Option<i32>,
    /// The limit.
    pub limit: Option<i32>,
    /// The caller's tier.
    pub tier_name: Option<String>,
}

/// An error of Runyard.
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    code: Code,
    message: Cow<'static, str>,
    field: Option<Cow<'static, str>>,
    facts: Option<Facts>,
    retry_after: Option<Duration>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error with a code and a sentence for people.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            inner: Box::new(Inner {
                code,
                message: message.into(),
                field: None,
                facts: None,
                retry_after: None,
                cause: None,
            }),
        }
    }

    /// A request that breaks a rule, without a single field to blame.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidRequest, message)
    }

    /// A request with a wrong field.
    pub fn invalid_field(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::new(Code::InvalidRequest, message);
        error.inner.field = Some(field.into());
        error
    }

    /// Our fault. The message may be shown; the cause is logged and never sent.
    pub fn internal(message: impl Into<Cow<'static, str>>, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Code::Internal, message).caused_by(cause)
    }

    /// Adds the typed facts of a refusal.
    #[must_use]
    pub fn with_facts(mut self, facts: Facts) -> Self {
        self.inner.facts = Some(facts);
        self
    }

    /// Says when trying again makes sense.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.inner.retry_after = Some(wait);
        self
    }

    /// Adds what is logged and never sent.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.cause = Some(cause.into());
        self
    }

    /// Puts a sentence before an internal error's message, such as "Failed to start agent"; other errors stay as they are.
    #[must_use]
    pub fn doing(mut self, what: &str) -> Self {
        if self.code() == Code::Internal {
            self.inner.message = format!("{what}: {}", self.inner.message).into();
        }
        self
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.inner.code
    }

    /// What it means for the caller.
    pub fn kind(&self) -> Kind {
        self.inner.code.kind()
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The request field to blame.
    pub fn field(&self) -> Option<&str> {
        self.inner.field.as_deref()
    }

    /// The typed facts.
    pub fn facts(&self) -> Option<&Facts> {
        self.inner.facts.as_ref()
    }

    /// When trying again makes sense.
    pub fn retry_after_hint(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// What is logged and never sent.
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
