//! Checks the scopes of API keys before every method, for every protocol. This file makes all scope decisions.
//!
//! Called by `wire/stack.rs`. A token grants full access to its own account. An API key grants access only to the
//! methods that its scope allows. A method that is missing from [`METHODS`] requires the widest scope. A test compares
//! the list with the contract.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use futures::future::{Either, Ready, ready};
use http::{Request, Response};
use tonic::{Status, body::Body};
use tower::Service;

use crate::{
    accounts::{Access, Caller},
    error::{Code, Error, Result},
};

/// The scope that an API key needs for each method of the contract.
pub const METHODS: &[(&str, &[(&str, Access)])] = &[
    (
        "AgentService",
        &[
            ("CreateAgent", Access::Run),
            ("ListAgents", Access::Read),
            ("GetAgent", Access::Read),
            ("UpdateAgent", Access::Run),
            ("DeleteAgent", Access::Run),
            ("GenerateAgentIcon", Access::Run),
            ("ListAgentVersions", Access::Read),
            ("CreateAgentVersion", Access::Run),
            ("GetAgentVersion", Access::Read),
            ("ActivateAgentVersion", Access::Run),
            ("RollbackAgentVersion", Access::Run),
            ("CompareAgentVersions", Access::Read),
            ("ListAgentTools", Access::Read),
        ],
    ),
    (
        "RunService",
        &[
            ("StartRun", Access::Run),
            ("GetRun", Access::Read),
            ("StopRun", Access::Run),
            ("StreamRun", Access::Read),
            ("StreamRuns", Access::Read),
            ("ListActiveRuns", Access::Read),
            ("ListRuns", Access::Read),
        ],
    ),
    (
        "FileService",
        &[("CreateUpload", Access::Run), ("UploadChunk", Access::Run)],
    ),
    (
        "ThreadService",
        &[
            ("CreateThread", Access::Run),
            ("ListThreads", Access::Read),
            ("GetThread", Access::Read),
            ("UpdateThread", Access::Run),
            ("DeleteThread", Access::Run),
            ("ListMessages", Access::Read),
            ("AddMessage", Access::Run),
        ],
    ),
    (
        "ProjectService",
        &[
            ("ListProjects", Access::Read),
            ("GetProject", Access::Read),
            ("DeleteProject", Access::Run),
        ],
    ),
    (
        "SandboxService",
        &[
            ("GetSandbox", Access::Read),
            ("ListFiles", Access::Read),
            ("ReadFile", Access::Read),
            ("WriteFile", Access::Run),
            ("DeleteFile", Access::Run),
        ],
    ),
    (
        "AccountService",
        &[
            ("GetAccountState", Access::Read),
            ("ListUsage", Access::Read),
            ("CreateApiKey", Access::Admin),
            ("ListApiKeys", Access::Admin),
            ("RevokeApiKey", Access::Admin),
        ],
    ),
    // The methods of this service also require the role super_admin, which no API key has.
    (
        "AdminService",
        &[
            ("CreateAccount", Access::Admin),
            ("GetAccount", Access::Admin),
            ("SetAccountTier", Access::Admin),
            ("GrantCredits", Access::Admin),
        ],
    ),
];

/// The scope that an API key needs for a gRPC path such as `/runyard.v1.RunService/StartRun`. `None` for services that
/// are not part of the contract, such as health and reflection.
fn needed(path: &str) -> Option<Access> {
    let (service, method) = path.strip_prefix("/runyard.v1.")?.split_once('/')?;
    let listed = METHODS
        .iter()
        .find(|(name, _)| *name == service)
        .and_then(|(_, methods)| methods.iter().find(|(name, _)| *name == method));
    Some(listed.map_or(Access::Admin, |(_, access)| *access))
}

/// Refuses a call that the caller's credential does not allow.
///
/// # Errors
/// PERMISSION_DENIED, with the name of the missing scope.
pub fn check(caller: &Caller, needed: Access) -> Result<()> {
    if caller.access >= needed {
        return Ok(());
    }
    let message = format!(
        "the API key lacks the scope {}; use a key with that scope",
        needed.as_str()
    );
    Err(Error::new(Code::PermissionDenied, message))
}

/// The layer that checks scopes.
#[derive(Clone)]
pub struct Permit<S> {
    inner: S,
}

impl<S> Permit<S> {
    /// Wraps the services in this layer.
    pub fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S> Service<Request<Body>> for Permit<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let caller = request.extensions().get::<Caller>();
        let permitted = match (caller, needed(request.uri().path())) {
            (Some(caller), Some(needed)) => check(caller, needed),
            // No caller or no scope is present. A method that requires a caller checks this itself.
            (None, _) | (_, None) => Ok(()),
        };
        match permitted {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(error) => Either::Right(ready(Ok(Status::from(error).into_http()))),
        }
    }
}
