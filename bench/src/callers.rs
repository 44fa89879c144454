//! Clients that start runs on a server, over gRPC or JSON. Each client authenticates with the token of an account.

use std::{net::SocketAddr, time::Duration};

use runyard::{
    clock::Clock,
    config::Config,
    v1::{RunEvent, RunStatus, StartRunRequest, run_event::Event},
    wire::jwt::{Grant, mint},
};
use runyard_client::v1::run_service_client::RunServiceClient;
use serde_json::{Value, json};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

use crate::{Result, children::SECRET};

const CALLERS_PER_CONNECTION: usize = 16;
const TIMEOUT: Duration = Duration::from_mins(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    /// JSON over HTTP/1.1 with one connection per caller.
    Json,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Grpc => "gRPC",
            Self::Json => "JSON",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Account {
    token: String,
    bearer: MetadataValue<Ascii>,
}

impl Account {
    /// Creates a token for a subject. The server creates the account on the first request with this token.
    pub(crate) fn new(subject: &str) -> Result<Self> {
        let text = format!("[auth]\njwt_secret = \"{SECRET}\"\n");
        let config = Config::parse("the benchmark's configuration", &text)?;
        let secret = config.auth.jwt_secret.as_ref().ok_or("no secret")?;
        let grant = Grant {
            subject: subject.to_owned(),
            role: None,
            lifetime: Duration::from_hours(1),
        };
        let token = mint(&config.auth, secret, &grant, Clock::default().now())?;
        let bearer = format!("Bearer {token}").parse()?;
        Ok(Self { token, bearer })
    }

    pub(crate) async fn get(&self, http: &reqwest::Client, url: &str) -> Result<Vec<u8>> {
        let answer = http.get(url).bearer_auth(&self.token).send().await?;
        let status = answer.status();
        let bytes = answer.bytes().await?.to_vec();
        if !status.is_success() {
            return Err(format!("{url}: {status} {}", String::from_utf8_lossy(&bytes)).into());
        }
        Ok(bytes)
    }

    pub(crate) async fn delete(&self, http: &reqwest::Client, url: &str) -> Result<()> {
        let answer = http.delete(url).bearer_auth(&self.token).send().await?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("DELETE {url}: {status} {}", answer.text().await?).into());
        }
        Ok(())
    }

    pub(crate) fn signed<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.bearer.clone());
        request
    }
}

/// Returns a request in the mode `chat`, in which a run has no tools.
pub(crate) fn start_on(model: &str) -> StartRunRequest {
    StartRunRequest {
        prompt: Some("Say something.".to_owned()),
        model_name: model.to_owned(),
        mode: "chat".to_owned(),
        ..StartRunRequest::default()
    }
}

pub(crate) async fn connect(address: SocketAddr) -> Result<RunServiceClient<Channel>> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    Ok(RunServiceClient::new(endpoint.connect().await?))
}

pub(crate) struct Caller {
    account: Account,
    line: Line,
}

enum Line {
    Grpc(RunServiceClient<Channel>),
    Json(reqwest::Client, String),
}

impl Caller {
    pub(crate) async fn all(protocol: Protocol, address: SocketAddr, accounts: &[Account]) -> Result<Vec<Self>> {
        let mut callers = Vec::with_capacity(accounts.len());
        let http = reqwest::Client::builder().tcp_nodelay(true).timeout(TIMEOUT).build()?;
        let url = format!("http://{address}/v1/agent/start");
        let mut shared = None;
        for (position, account) in accounts.iter().enumerate() {
            let line = match protocol {
                Protocol::Json => Line::Json(http.clone(), url.clone()),
                Protocol::Grpc => {
                    if position % CALLERS_PER_CONNECTION == 0 {
                        shared = Some(connect(address).await?);
                    }
                    Line::Grpc(shared.clone().ok_or("no connection")?)
                }
            };
            let account = account.clone();
            callers.push(Self { account, line });
        }
        Ok(callers)
    }

    pub(crate) async fn start(&mut self, model: &str) -> Result<Uuid> {
        let id = match &mut self.line {
            Line::Grpc(client) => {
                let request = self.account.signed(start_on(model));
                client.start_run(request).await?.into_inner().agent_run_id
            }
            Line::Json(http, url) => {
                let body = json!({"prompt": "Say something.", "model_name": model, "mode": "chat"});
                let request = http.post(&*url).bearer_auth(&self.account.token).json(&body);
                let answer = request.send().await?;
                let status = answer.status();
                let bytes = answer.bytes().await?;
                if !status.is_success() {
                    return Err(format!("a start was refused: {status} {}", String::from_utf8_lossy(&bytes)).into());
                }
                let answer: Value = serde_json::from_slice(&bytes)?;
                answer["agent_run_id"]
                    .as_str()
                    .ok_or("a response without a run")?
                    .to_owned()
            }
        };
        Ok(id.parse()?)
    }
}

/// Returns the run's final status if `event` is the last event of the run.
pub(crate) fn ends_with(event: &RunEvent) -> Option<RunStatus> {
    match &event.event {
        Some(Event::Status(status)) if status.status() != RunStatus::Running => Some(status.status()),
        _ => None,
    }
}
