//! A Rust client for the gRPC API.
//!
//! [`Client::task`] prepares a run. A started task is a [`Running`], which has the run's events, result and files.
//! While the server is unavailable, the client retries idempotent calls and reopens event streams.
//!
//! [`Client::channel`] and the generated clients in [`v1`] provide all other methods. [`from_status`] converts the
//! errors of these methods.
//!
//! ```rust

#![warn(missing_docs)]
#![doc = include_str!("../../../tests/it/client/example.rs")]
//! ```

mod account;
mod error;
mod files;
mod history;
mod keys;
mod status;
mod task;
mod watch;

/// The messages of the API, and the generated gRPC clients.
pub mod v1 {
    #![expect(clippy::allow_attributes_without_reason, reason = "generated code")]
    pub use runyard_contract::v1::*;
    include!(concat!(env!("OUT_DIR"), "/runyard.v1.rs"));
}

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, ClientTlsConfig, Endpoint},
};

pub use error::{Code, Error, ErrorDetails, Kind, Result};
pub use status::from_status;
pub use task::{Running, Task};
use v1::{
    Agent, CreateAgentRequest, GetAgentRequest, GetProjectRequest, GetRunRequest, ListAgentsRequest, Project, Run,
    StartRunRequest, StartRunResponse, StopRunRequest, agent_service_client::AgentServiceClient,
    file_service_client::FileServiceClient, project_service_client::ProjectServiceClient,
    run_service_client::RunServiceClient, sandbox_service_client::SandboxServiceClient,
};
pub use watch::{Watch, is_terminal};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_mins(1);
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
const ATTEMPTS: u32 = 5;

/// A gRPC channel that sends the client's token or API key.
pub type Signed = InterceptedService<Channel, Bearer>;

/// A connection to one server.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Signed,
    server: String,
}

/// Adds the token or API key to the `authorization` metadata of every call.
#[derive(Clone, Debug)]
pub struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl Client {
    /// Connects to a server, such as `https://runyard.example`, with a token or an API key.
    ///
    /// The certificate store of the operating system must trust an `https` server. If `SSL_CERT_FILE` is set, the
    /// client trusts the certificates in that file instead.
    ///
    /// # Errors
    /// INVALID_REQUEST if the URL or the token is malformed; UNAVAILABLE if the connection cannot be established.
    pub async fn connect(server: &str, token: impl Into<SecretString>) -> Result<Self> {
        let server = server.trim_end_matches('/');
        let channel = endpoint(server)?.connect().await.map_err(|error| {
            let advice = match root_cause(&error) {
                // The innermost error describes the TLS failure.
                Some(cause) if server.starts_with("https:") => cause,
                _ => "start one with `runyard serve`".to_owned(),
            };
            let message = format!("no server answers at {server}; {advice}");
            Error::new(Code::Unavailable, message).caused_by(error)
        })?;
        let mut bearer: MetadataValue<Ascii> = format!("Bearer {}", token.into().expose_secret())
            .parse()
            .map_err(|_| Error::invalid("the token contains characters that are not allowed in a token"))?;
        bearer.set_sensitive(true);
        Ok(Self {
            channel: InterceptedService::new(channel, Bearer(bearer)),
            server: server.to_owned(),
        })
    }

    /// Returns the channel for the generated clients in [`v1`].
    pub fn channel(&self) -> Signed {
        self.channel.clone()
    }

    /// Creates a task. [`Task::start`] sends it to the server.
    pub fn task(&self, prompt: impl Into<String>) -> Task {
        Task::new(self.clone(), prompt.into())
    }

    /// Attaches to an existing run. Events start after the sequence number `after_sequence`; 0 returns all events.
    ///
    /// # Errors
    /// The server's error, such as RUN_NOT_FOUND, or UNAVAILABLE if the server cannot be reached.
    pub async fn attach(&self, agent_run_id: &str, after_sequence: i64) -> Result<Running> {
        let run = self.load_run(agent_run_id).await?;
        let started = StartRunResponse {
            thread_id: run.thread_id,
            agent_run_id: run.agent_run_id,
            project_id: run.project_id,
            sandbox_id: run.sandbox_id,
            ..StartRunResponse::default()
        };
        Ok(Running::new(self.clone(), started, after_sequence))
    }

    /// Returns the URL of the server, without a trailing slash.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Starts a run. A second request with the same `request_id` returns the first run. An empty `request_id` is
    /// replaced by a new UUID, so that a retry does not start a second run.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn start_run(&self, mut request: StartRunRequest) -> Result<StartRunResponse> {
        if request.request_id.is_empty() {
            request.request_id = uuid::Uuid::now_v7().to_string();
        }
        repeat(async || self.runs().start_run(call(request.clone())).await).await
    }

    /// Asks a run to stop. The run has stopped when its last event arrives.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn stop_run(&self, agent_run_id: &str) -> Result<Run> {
        let request = StopRunRequest {
            agent_run_id: agent_run_id.to_owned(),
        };
        repeat(async || self.runs().stop_run(call(request.clone())).await).await
    }

    /// Returns the run with this UUID.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn load_run(&self, agent_run_id: &str) -> Result<Run> {
        let request = GetRunRequest {
            agent_run_id: agent_run_id.to_owned(),
        };
        repeat(async || self.runs().get_run(call(request.clone())).await).await
    }

    /// Returns the events of a run after the sequence number `after_sequence`; 0 returns all events.
    pub fn watch_run(&self, agent_run_id: &str, after_sequence: i64) -> Watch {
        Watch::new(self.runs(), agent_run_id, after_sequence)
    }

    /// Returns the project with this UUID.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn load_project(&self, project_id: &str) -> Result<Project> {
        let request = GetProjectRequest {
            project_id: project_id.to_owned(),
        };
        repeat(async || {
            ProjectServiceClient::new(self.channel())
                .get_project(call(request.clone()))
                .await
        })
        .await
    }

    /// Creates an agent. Not retried, because a retry could create a second agent.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn create_agent(&self, request: CreateAgentRequest) -> Result<Agent> {
        let answer = self.agents().create_agent(call(request)).await;
        answer.map(tonic::Response::into_inner).map_err(status::from_status)
    }

    /// Returns the agent with this UUID.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn load_agent(&self, agent_id: &str) -> Result<Agent> {
        let request = GetAgentRequest {
            agent_id: agent_id.to_owned(),
        };
        repeat(async || self.agents().get_agent(call(request.clone())).await).await
    }

    /// Lists all agents of the account.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn list_agents(&self) -> Result<Vec<Agent>> {
        self.matching_agents(ListAgentsRequest::default()).await
    }

    /// Lists the agents of the account that have exactly this name.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn find_agents(&self, name: &str) -> Result<Vec<Agent>> {
        let request = ListAgentsRequest {
            search: name.to_owned(),
            ..ListAgentsRequest::default()
        };
        let mut agents = self.matching_agents(request).await?;
        agents.retain(|agent| agent.name == name);
        Ok(agents)
    }

    async fn matching_agents(&self, mut request: ListAgentsRequest) -> Result<Vec<Agent>> {
        let mut agents = Vec::new();
        loop {
            let page = repeat(async || self.agents().list_agents(call(request.clone())).await).await?;
            agents.extend(page.agents);
            if page.next_page_token.is_empty() {
                return Ok(agents);
            }
            request.page_token = page.next_page_token;
        }
    }

    fn runs(&self) -> RunServiceClient<Signed> {
        RunServiceClient::new(self.channel()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    fn agents(&self) -> AgentServiceClient<Signed> {
        AgentServiceClient::new(self.channel()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    fn uploads(&self) -> FileServiceClient<Signed> {
        FileServiceClient::new(self.channel())
    }

    fn sandboxes(&self) -> SandboxServiceClient<Signed> {
        SandboxServiceClient::new(self.channel()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }
}

fn endpoint(server: &str) -> Result<Endpoint> {
    let wrong = || {
        Error::invalid(format!(
            "{server} is not a server address; use an address such as http://127.0.0.1:8080"
        ))
    };
    let endpoint = Endpoint::from_shared(server.to_owned()).map_err(|_| wrong())?;
    let endpoint = match endpoint.uri().scheme_str() {
        Some("http") => endpoint,
        Some("https") => endpoint
            .tls_config(ClientTlsConfig::new().with_native_roots())
            .map_err(|error| {
                Error::new(
                    Code::Unavailable,
                    "TLS could not be set up; check the CA certificates of this machine",
                )
                .caused_by(error)
            })?,
        _ => return Err(wrong()),
    };
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true))
}

fn root_cause(error: &dyn std::error::Error) -> Option<String> {
    let mut deepest = error.source()?;
    while let Some(deeper) = deepest.source() {
        deepest = deeper;
    }
    Some(deepest.to_string())
}

fn call<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

/// Makes an idempotent call, with up to [`ATTEMPTS`] attempts while the server is unavailable.
async fn repeat<T>(mut call: impl AsyncFnMut() -> Result<tonic::Response<T>, Status>) -> Result<T> {
    let mut attempt = 1;
    loop {
        match call().await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) if attempt < ATTEMPTS && status::is_passing(&status) => {
                tokio::time::sleep(backoff(attempt)).await;
                attempt += 1;
            }
            Err(status) => return Err(status::from_status(status)),
        }
    }
}

/// Returns the delay after an attempt: 100 ms, doubled each time up to 3.2 s. Up to half is subtracted at random, so
/// that clients do not retry all at once.
fn backoff(attempt: u32) -> Duration {
    let full = Duration::from_millis(100) * 2_u32.pow(attempt.saturating_sub(1).min(5));
    full.mul_f64(1.0 - rand::random::<f64>() / 2.0)
}
