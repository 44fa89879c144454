//! A client of the contract over gRPC.
//!
//! Used by the commands, and by any Rust program that links this crate. Calls that can be repeated without harm are repeated
//! while the server is away, a bounded number of times; a watched run survives broken connections.

mod failure;
mod files;
mod watch;

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::{
    error::{Code, Error, Result},
    id,
    v1::{
        Agent, CreateAgentRequest, GetAgentRequest, GetProjectRequest, GetRunRequest, ListAgentsRequest, Project, Run,
        StartRunRequest, StartRunResponse, StopRunRequest, agent_service_client::AgentServiceClient,
        file_service_client::FileServiceClient, project_service_client::ProjectServiceClient,
        run_service_client::RunServiceClient, sandbox_service_client::SandboxServiceClient,
    },
};
pub use watch::Watch;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_mins(1);
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
const ATTEMPTS: u32 = 5;

type Door = InterceptedService<Channel, Bearer>;

/// A connection to a server, as one caller.
#[derive(Clone, Debug)]
pub struct Client {
    door: Door,
    server: String,
}

/// Puts the caller's token on every call.
#[derive(Clone, Debug)]
struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl Client {
    /// Connects to a server such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// INVALID_REQUEST when the address or the token cannot be sent, UNAVAILABLE when nobody answers there.
    pub async fn connect(server: &str, token: &SecretString) -> Result<Self> {
        let endpoint = Endpoint::from_shared(server.to_owned())
            .ok()
            .filter(|endpoint| endpoint.uri().scheme_str() == Some("http"))
            .ok_or_else(|| {
                Error::invalid(format!(
                    "{server} is not a server's address such as http://127.0.0.1:8080"
                ))
            })?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true);
        let channel = endpoint.connect().await.map_err(|error| {
            let message = format!("no server answers at {server}; start one with `runyard serve`");
            Error::new(Code::Unavailable, message).caused_by(error)
        })?;
        let mut bearer: MetadataValue<Ascii> = format!("Bearer {}", token.expose_secret())
            .parse()
            .map_err(|_| Error::invalid("the token has characters that no token has"))?;
        bearer.set_sensitive(true);
        Ok(Self {
            door: InterceptedService::new(channel, Bearer(bearer)),
            server: server.to_owned(),
        })
    }

    /// The server's address.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Starts a run. A request without a key gets one, so that a repeated call starts one run.
    ///
    /// # Errors
    /// What the server answers, and UNAVAILABLE.
    pub async fn start_run(&self, mut request: StartRunRequest) -> Result<StartRunResponse> {
        if request.request_id.is_empty() {
            request.request_id = id::new().to_string();
        }
        repeat(async || self.runs().start_run(call(request.clone())).await).await
    }

    /// Asks a run to stop.
    ///
    /// # Errors
    /// What the server answers, and UNAVAILABLE.
    pub async fn stop_run(&self, agent_run_id: &str) -> Result<Run> {
        let request = StopRunRequest {
            agent_run_id: agent_run_id.to_owned(),
        };
        repeat(async || self.runs().stop_run(call(request.clone())).await).await
    }

    /// Returns a run.
    ///
    /// # Errors
    /// What the server answers, and UNAVAILABLE.
    pub async fn load_run(&self, agent_run_id: &str) -> Result<Run> {
        let request = GetRunRequest {
            agent_run_id: agent_run_id.to_owned(),
        };
        repeat(async || self.runs().get_run(call(request.clone())).await).await
    }

    /// Watches a run from the event after the given sequence (0 for all), until its terminal event.
    pub fn watch_run(&self, agent_run_id: &str, after_sequence: i64) -> Watch {
        Watch::new(self.runs(), agent_run_id, after_sequence)
    }

    /// Returns a project.
    ///
    /// # Errors
    /// What the server answers, and UNAVAILABLE.
    pub async fn load_project(&self, project_id: &str) -> Result<Project> {
        let request = GetProjectRequest {
            project_id: project_id.to_owned(),
        };
        repeat(async || {
            ProjectServiceClient::new(self.door.clone())
                .get_project(call(request.clone()))
                .await
        })
        .await
    }

    /// Creates an agent. The call is not repeated: a second one would make a second agent.
    ///
    /// # Errors
    /// What the server answers, and UNAVAILABLE.
    pub async fn create_agent(&self, request: CreateAgentRequest) -> Result<Agent> {
        let answer = self.agents().create_agent(call(request)).await;
        answer.map(tonic::Response::into_inner).map_err(failure::from_status)
    }

    /// Returns an agent.
    ///
    /// # Errors
    /// What the server answers, and UNAVAILABLE.
    pub async fn load_agent(&self, agent_id: &str) -> Result<Agent> {
        let request = GetAgentRequest {
            agent_id: agent_id.to_owned(),
        };
        repeat(async || self.agents().get_agent(call(request.clone())).await).await
    }

    /// Lists all agents of the caller.
    ///
    /// # Errors
    /// What the server answers, and UNAVAILABLE.
    pub async fn list_agents(&self) -> Result<Vec<Agent>> {
        let mut agents = Vec::new();
        let mut request = ListAgentsRequest::default();
        loop {
            let page = repeat(async || self.agents().list_agents(call(request.clone())).await).await?;
            agents.extend(page.agents);
            if page.next_page_token.is_empty() {
                return Ok(agents);
            }
            request.page_token = page.next_page_token;
        }
    }

    fn runs(&self) -> RunServiceClient<Door> {
        RunServiceClient::new(self.door.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    fn agents(&self) -> AgentServiceClient<Door> {
        AgentServiceClient::new(self.door.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    fn uploads(&self) -> FileServiceClient<Door> {
        FileServiceClient::new(self.door.clone())
    }

    fn sandboxes(&self) -> SandboxServiceClient<Door> {
        SandboxServiceClient::new(self.door.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }
}

/// A unary call with a deadline.
fn call<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

/// Repeats a call that can be repeated without harm, while the server is away.
async fn repeat<T>(mut call: impl AsyncFnMut() -> Result<tonic::Response<T>, Status>) -> Result<T> {
    let mut attempt = 1;
    loop {
        match call().await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) if attempt < ATTEMPTS && failure::is_passing(&status) => {
                tokio::time::sleep(backoff(attempt)).await;
                attempt += 1;
            }
            Err(status) => return Err(failure::from_status(status)),
        }
    }
}

/// 100 ms, doubled with every attempt up to 3.2 s, less a random part so that many clients do not come back together.
fn backoff(attempt: u32) -> Duration {
    let full = Duration::from_millis(100) * 2_u32.pow(attempt.saturating_sub(1).min(5));
    full.mul_f64(1.0 - id::jitter() / 2.0)
}
