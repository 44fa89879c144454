//! The error codes of the API, their categories, and the details of exceeded plan limits.

/// The category of an error. Each category maps to one gRPC code and one HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is invalid; a retry would fail again.
    Invalid,
    /// The caller presented no valid credential.
    Unauthenticated,
    /// The caller lacks a role or a scope.
    Forbidden,
    /// The resource does not exist, or belongs to another account.
    Missing,
    /// The resource already exists.
    Existing,
    /// The state of the resource does not allow the operation.
    Conflicting,
    /// Another request changed the same data first; a retry may succeed.
    Contended,
    /// The account has reached a limit of its plan.
    OverPlan,
    /// The account's plan does not include the model.
    NotInPlan,
    /// The caller has exceeded a rate limit; retry later.
    Throttled,
    /// The request, a file or a message exceeds its size limit.
    TooLarge,
    /// A dependency is temporarily unavailable.
    Unavailable,
    /// The caller's deadline has passed.
    Expired,
    /// The caller cancelled the request or disconnected.
    Cancelled,
    /// The API defines the method, but this build does not implement it.
    Unimplemented,
    /// The server failed unexpectedly.
    Internal,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal => $kind:ident,)+) => {
        /// The stable code of an error. Clients receive it in `ErrorInfo.reason` and in the header `X-Error-Code`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// All codes, in the order of docs/errors.md.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Returns the text of the code, such as `AGENT_NOT_FOUND`.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $text,)+ } }

            /// Returns the category of the code.
            pub const fn kind(self) -> Kind { match self { $(Self::$name => Kind::$kind,)+ } }

            /// Returns the description of the code in docs/errors.md.
            pub const fn describe(self) -> &'static str { match self { $(Self::$name => concat!($($doc,)+),)+ } }
        }
    };
}

codes! {
    /// The request is malformed or breaks a rule; the message names the field.
    InvalidRequest = "INVALID_REQUEST" => Invalid,
    /// The model is not in the model table.
    UnknownModel = "UNKNOWN_MODEL" => Invalid,
    /// The cursor is beyond the last event of the run.
    CursorBeyondEnd = "CURSOR_BEYOND_END" => Invalid,
    /// The page token is invalid, or belongs to another query or caller.
    InvalidPageToken = "INVALID_PAGE_TOKEN" => Invalid,
    /// The credential is missing, invalid, expired or revoked.
    NotAuthenticated = "NOT_AUTHENTICATED" => Unauthenticated,
    /// A role or scope is missing.
    PermissionDenied = "PERMISSION_DENIED" => Forbidden,
    /// An administrator of the server has suspended the account. Contact the operator of the server.
    AccountSuspended = "ACCOUNT_SUSPENDED" => Forbidden,
    /// The token is valid, but its subject has no account, and self-registration is off.
    RegistrationClosed = "REGISTRATION_CLOSED" => Forbidden,
    /// The agent does not exist.
    AgentNotFound = "AGENT_NOT_FOUND" => Missing,
    /// The agent does not have this version.
    AgentVersionNotFound = "AGENT_VERSION_NOT_FOUND" => Missing,
    /// The thread does not exist.
    ThreadNotFound = "THREAD_NOT_FOUND" => Missing,
    /// The project does not exist.
    ProjectNotFound = "PROJECT_NOT_FOUND" => Missing,
    /// The run does not exist.
    RunNotFound = "RUN_NOT_FOUND" => Missing,
    /// The sandbox does not exist.
    SandboxNotFound = "SANDBOX_NOT_FOUND" => Missing,
    /// The file does not exist.
    FileNotFound = "FILE_NOT_FOUND" => Missing,
    /// The upload does not exist.
    UploadNotFound = "UPLOAD_NOT_FOUND" => Missing,
    /// The skill or the requested version of the skill does not exist.
    SkillNotFound = "SKILL_NOT_FOUND" => Missing,
    /// The account does not exist; only administrators receive this code.
    AccountNotFound = "ACCOUNT_NOT_FOUND" => Missing,
    /// The memory does not exist.
    MemoryNotFound = "MEMORY_NOT_FOUND" => Missing,
    /// The input does not exist, or belongs to another account or run.
    InputNotFound = "INPUT_NOT_FOUND" => Missing,
    /// The webhook does not exist.
    WebhookNotFound = "WEBHOOK_NOT_FOUND" => Missing,
    /// The webhook does not have this delivery.
    WebhookDeliveryNotFound = "WEBHOOK_DELIVERY_NOT_FOUND" => Missing,
    /// The schedule does not exist.
    ScheduleNotFound = "SCHEDULE_NOT_FOUND" => Missing,
    /// The secret does not exist.
    SecretNotFound = "SECRET_NOT_FOUND" => Missing,
    /// The trigger does not exist.
    TriggerNotFound = "TRIGGER_NOT_FOUND" => Missing,
    /// The share does not exist, or its token does not work: it is unknown, revoked or expired, or its account is suspended.
    ShareNotFound = "SHARE_NOT_FOUND" => Missing,
    /// The API key does not exist.
    ApiKeyNotFound = "API_KEY_NOT_FOUND" => Missing,
    /// No method has this path.
    NoSuchPath = "NO_SUCH_PATH" => Missing,
    /// The request key was already used with another body.
    RequestKeyReused = "REQUEST_KEY_REUSED" => Conflicting,
    /// The thread has an active run, and `if_busy` of the request is `reject`.
    ThreadBusy = "THREAD_BUSY" => Conflicting,
    /// The upload is incomplete, or the chunk would leave a gap.
    UploadIncomplete = "UPLOAD_INCOMPLETE" => Conflicting,
    /// The agent or the account has the maximum number of memories; delete memories before you create others.
    MemoryLimitExceeded = "MEMORY_LIMIT_EXCEEDED" => Conflicting,
    /// The account has the maximum number of webhooks; delete webhooks before you create others.
    WebhookLimitExceeded = "WEBHOOK_LIMIT_EXCEEDED" => Conflicting,
    /// The account has the maximum number of schedules; delete schedules before you create others.
    ScheduleLimitExceeded = "SCHEDULE_LIMIT_EXCEEDED" => Conflicting,
    /// The account has the maximum number of secrets; delete secrets before you create others.
    SecretLimitExceeded = "SECRET_LIMIT_EXCEEDED" => Conflicting,
    /// The account has the maximum number of triggers; delete triggers before you create others.
    TriggerLimitExceeded = "TRIGGER_LIMIT_EXCEEDED" => Conflicting,
    /// The thread has the maximum number of shares; revoke shares before you create others.
    ShareLimitExceeded = "SHARE_LIMIT_EXCEEDED" => Conflicting,
    /// The resource is in use, or its state does not allow the operation.
    Conflict = "CONFLICT" => Conflicting,
    /// Another request changed the same data first; retry.
    Contended = "CONTENDED" => Contended,
    /// The account has no credits left.
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
    /// Too many requests, open streams, new accounts or pending uploads; Retry-After says when to retry.
    Throttled = "THROTTLED" => Throttled,
    /// The body, file or message exceeds its size limit.
    TooLarge = "TOO_LARGE" => TooLarge,
    /// A dependency is temporarily unavailable.
    Unavailable = "UNAVAILABLE" => Unavailable,
    /// The caller's deadline has passed.
    DeadlineExceeded = "DEADLINE_EXCEEDED" => Expired,
    /// The caller cancelled the request or disconnected.
    Cancelled = "CANCELLED" => Cancelled,
    /// This build does not implement the method.
    Unimplemented = "UNIMPLEMENTED" => Unimplemented,
    /// The server failed; its log contains the cause with the request id.
    Internal = "INTERNAL" => Internal,
}

/// Details of an exceeded plan limit. A field that does not apply is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorDetails {
    /// UUIDs of the threads in which the caller has active runs.
    pub running_thread_ids: Vec<String>,
    /// Number of the caller's active runs.
    pub running_count: Option<i32>,
    /// Number of items, such as threads, that count towards the limit.
    pub current_count: Option<i32>,
    /// Maximum of `running_count` or `current_count`.
    pub limit: Option<i32>,
    /// Name of the caller's tier.
    pub tier_name: Option<String>,
}
