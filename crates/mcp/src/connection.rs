//! A connection to one server. The protocol revision is negotiated.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rmcp::{
    RoleClient,
    model::ProtocolVersion,
    service::{ClientInitializeError, ClientLifecycleMode, ClientServiceExt, RunningService},
    transport::{IntoTransport, async_rw::AsyncRwTransport},
};
use serde_json::{Map, Value};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Duration, Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Limits, Outcome,
    call::{self, Call, Line},
    error::{Error, Result},
    http::{Address, Http, Target},
    listener::Listener,
    questions::Continuation,
    revisions::Revision,
    sse::SseTransport,
    tools::{self, ToolList},
};

/// A connection to one server. Dropping it ends the session in the background.
pub struct Connection {
    service: RunningService<RoleClient, Listener>,
    listener: Listener,
    limits: Limits,
    is_broken: AtomicBool,
    /// Set if the handshake was shortened because the revision of the server was known.
    assumption: Option<Assumption>,
    /// True for the transport of 2024.
    is_sse: bool,
}

struct Assumption {
    http: Http,
    url: Arc<str>,
}

impl Connection {
    /// Connects to a server over HTTP.
    ///
    /// # Errors
    /// The reason why the server cannot be used.
    pub async fn http(http: &Http, address: &Address, limits: &Limits) -> Result<Self> {
        let target = http.target(address)?;
        let start = Instant::now();
        if let Some(revision) = http.revisions.find(&target.url) {
            let (mode, known) = match revision {
                Revision::Modern(answer) => (automatic(), Some(answer)),
                Revision::Legacy => (ClientLifecycleMode::Initialize, None),
            };
            let transport = http.transport(&target, limits, known);
            if let Ok(mut connection) = Self::serve(transport, mode, start + limits.connect / 2, limits).await {
                connection.assumption = Some(Assumption {
                    http: http.clone(),
                    url: target.url,
                });
                return Ok(connection);
            }
            http.revisions.forget(&target.url);
        }
        let connection = Self::negotiate(http, address, &target, start, limits).await?;
        if let Some(server) = connection.service.peer().peer_info().filter(|_| !connection.is_sse) {
            http.revisions.keep(&target.url, &server);
        }
        Ok(connection)
    }

    async fn negotiate(
        http: &Http,
        address: &Address,
        target: &Target,
        start: Instant,
        limits: &Limits,
    ) -> Result<Self> {
        let part = |tenths: u32| start + limits.connect * tenths / 10;
        let last = if address.may_be_sse { part(8) } else { part(10) };
        let mut result = Self::serve(http.transport(target, limits, None), automatic(), part(6), limits).await;
        if result.as_ref().is_err_and(|refusal| refusal.may_be_old) {
            // Some old servers do not answer an unknown request, or send an empty result.
            let transport = http.transport(target, limits, None);
            result = Self::serve(transport, ClientLifecycleMode::Initialize, last, limits).await;
        }
        match result {
            Ok(connection) => Ok(connection),
            Err(first) if address.may_be_sse => Self::sse(http, target, part(10), limits).await.map_err(|second| {
                Error::Failed(format!("{}; over the older HTTP+SSE transport: {second}", first.error))
            }),
            Err(refusal) => Err(refusal.error),
        }
    }

    /// Connects to a server over its standard input and output.
    ///
    /// # Errors
    /// The reason why the server cannot be used.
    pub async fn stdio(
        stdin: impl AsyncWrite + Send + Unpin + 'static,
        stdout: impl AsyncRead + Send + Unpin + 'static,
        limits: &Limits,
    ) -> Result<Self> {
        // A line that is not a message is skipped, for example a debug print.
        let transport = AsyncRwTransport::<RoleClient, _, _>::new(stdout, stdin);
        let transport = transport.with_max_line_length(limits.message_bytes);
        let served = Self::serve(transport, automatic(), Instant::now() + limits.connect, limits).await;
        served.map_err(|refusal| refusal.error)
    }

    async fn sse(http: &Http, target: &Target, deadline: Instant, limits: &Limits) -> Result<Self> {
        let opened = SseTransport::open(http.client.clone(), target, limits.message_bytes);
        let late = Error::TimedOut(limits.connect);
        let transport = timeout_at(deadline, opened).await.map_err(|_| late)??;
        let served = Self::serve(transport, ClientLifecycleMode::Initialize, deadline, limits).await;
        let mut connection = served.map_err(|refusal| refusal.error)?;
        connection.is_sse = true;
        Ok(connection)
    }

    async fn serve<T, E, A>(
        transport: T,
        mode: ClientLifecycleMode,
        deadline: Instant,
        limits: &Limits,
    ) -> Result<Self, Refusal>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let listener = Listener::default();
        let handshake = listener.clone().serve_with_lifecycle(transport, mode);
        let service = match timeout_at(deadline, handshake).await {
            Ok(Ok(service)) => service,
            Ok(Err(error)) => return Err(Refusal::of(&error)),
            Err(_) => {
                return Err(Refusal {
                    error: Error::TimedOut(limits.connect),
                    may_be_old: true,
                });
            }
        };
        Ok(Self {
            service,
            listener,
            limits: limits.clone(),
            is_broken: AtomicBool::new(false),
            assumption: None,
            is_sse: false,
        })
    }

    /// Lists the tools of the server.
    ///
    /// # Errors
    /// The reason why the list cannot be read.
    pub async fn list_tools(&self) -> Result<ToolList> {
        let limit = self.limits.connect / 2;
        timeout(limit, tools::list(self.service.peer()))
            .await
            .map_err(|_| Error::TimedOut(limit))?
    }

    /// Calls a tool. `output` receives progress messages. The server is notified if the call is cancelled or times
    /// out, or if the future is dropped. After [`Outcome::Asked`], the caller repeats the call with `continuation`, on any
    /// connection to the server.
    pub async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        output: &(dyn Fn(String) + Send + Sync),
        cancel: &CancellationToken,
        continuation: Continuation,
    ) -> Outcome {
        let call = Call {
            tool,
            arguments,
            output,
            cancel,
            continuation,
        };
        let line = Line {
            peer: self.service.peer(),
            listener: &self.listener,
            limits: &self.limits,
            is_broken: &self.is_broken,
            may_ask: !self.has_session(),
        };
        call::perform(&line, call).await
    }

    /// Returns whether the connection still has its session. If not, the caller opens a new connection.
    pub fn is_usable(&self) -> bool {
        !self.is_broken.load(Ordering::Relaxed) && !self.service.is_transport_closed()
    }

    /// Forgets the revision of the server if the handshake relied on an earlier negotiation. Returns whether it did; the
    /// caller may then connect again, and the revision is negotiated again.
    pub fn forget_revision(&self) -> bool {
        let Some(assumption) = &self.assumption else {
            return false;
        };
        assumption.http.revisions.forget(&assumption.url);
        true
    }

    /// Returns whether the server keeps state for this connection. Since revision 2026-07-28 of the protocol, servers
    /// keep none.
    pub fn has_session(&self) -> bool {
        let server = self.service.peer().peer_info();
        server.is_none_or(|server| server.protocol_version < ProtocolVersion::V_2026_07_28)
    }

    /// Returns whether the server has asked the user on the open connection, and the client has declined. Only the first
    /// call after such a question returns true.
    pub fn take_declined(&self) -> bool {
        self.listener.take_declined()
    }

    /// Returns whether the server has reported a change of its tools. Earlier lists are then out of date.
    pub fn tools_changed(&self) -> bool {
        self.listener.tools_changed()
    }

    /// Ends the session. Waits up to `limit` for the server's confirmation.
    pub async fn close(mut self, limit: Duration) {
        // An error only means that the session's task panicked. The session ends anyway.
        let _ = self.service.close_with_timeout(limit).await;
    }
}

struct Refusal {
    error: Error,
    /// True if the server may only know the handshake of earlier revisions.
    may_be_old: bool,
}

impl Refusal {
    fn of(error: &ClientInitializeError) -> Self {
        Self {
            error: Error::of_handshake(error),
            may_be_old: matches!(
                error,
                ClientInitializeError::ExpectedInitResult(_)
                    | ClientInitializeError::ExpectedInitResponse(_)
                    | ClientInitializeError::JsonRpcError(_)
            ),
        }
    }
}

/// Requests the newest revision, and falls back to the handshake of earlier revisions.
fn automatic() -> ClientLifecycleMode {
    ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::LATEST],
        legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
    }
}
