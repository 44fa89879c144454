//! Measures how the tools of two MCP servers delay a run and the response to `StartRun`.
//!
//! Each server waits before every answer. The wait is long compared with everything else, so the delay of a run divided
//! by the wait is the number of round trips that delayed the run.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use runyard_client::v1::{
    CreateAgentRequest, McpServer, McpTransport, RunStatus, StreamRunRequest, agent_service_client::AgentServiceClient,
    run_event::Event,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

use crate::{
    Result,
    callers::{Account, connect, start_on},
    check::Reader,
    machine::millis,
    report::median,
};

pub(crate) const CONFIG: &str = "[mcp]\nallow_private_addresses = true\n";
const WAIT: Duration = Duration::from_millis(50);
/// Number of agents whose first run is measured.
const AGENTS: usize = 3;
/// Maximum wait until the server has listed the tools of a saved agent. An earlier build lists them in the run only.
const LISTED: Duration = Duration::from_secs(1);

pub(crate) struct Found {
    /// Round trips that the first run of an agent waits for, after the agent was saved. The save is the server's first
    /// contact with the MCP servers.
    pub(crate) first: f64,
    /// Round trips that the first run of another agent with the same MCP servers waits for, right after the save.
    pub(crate) known: f64,
    /// Round trips that later runs wait for.
    pub(crate) later: f64,
    /// Median latency of `StartRun` without MCP servers, in milliseconds.
    pub(crate) answer_without: f64,
    /// Median latency of `StartRun` with two MCP servers, in milliseconds.
    pub(crate) answer_with: f64,
}

/// Runs an agent without MCP servers and an agent with two servers by turns.
pub(crate) async fn measure(address: SocketAddr, account: &Account, runs: usize) -> Result<Found> {
    let servers = Servers::start().await?;
    let without = create(address, account, "without", &[]).await?;
    // The first run opens the service's connection to the model.
    run(address, account, &without).await?;
    let with = create(address, account, "with", &servers.urls).await?;
    servers.listed().await;
    let first = run(address, account, &with).await?;
    let (mut plain, mut known, mut delayed) = (Times::default(), Times::default(), Times::default());
    for number in 0..AGENTS {
        let another = create(address, account, &format!("another {number}"), &servers.urls).await?;
        known.add(&run(address, account, &another).await?);
    }
    for _ in 0..runs {
        plain.add(&run(address, account, &without).await?);
        delayed.add(&run(address, account, &with).await?);
    }
    let (plain, known, delayed) = (plain.medians(), known.medians(), delayed.medians());
    let trips = |time: f64| (time - plain.token) / millis(WAIT);
    Ok(Found {
        first: trips(first.token),
        known: trips(known.token),
        later: trips(delayed.token),
        answer_without: plain.answer,
        answer_with: delayed.answer,
    })
}

/// Times of one run since its `StartRun` call, in milliseconds.
struct Took {
    /// Until the response.
    answer: f64,
    /// Until the first token.
    token: f64,
}

#[derive(Default)]
struct Times {
    answers: Vec<f64>,
    tokens: Vec<f64>,
}

impl Times {
    fn add(&mut self, took: &Took) {
        self.answers.push(took.answer);
        self.tokens.push(took.token);
    }

    fn medians(mut self) -> Took {
        self.answers.sort_unstable_by(f64::total_cmp);
        self.tokens.sort_unstable_by(f64::total_cmp);
        Took {
            answer: median(&self.answers),
            token: median(&self.tokens),
        }
    }
}

async fn create(address: SocketAddr, account: &Account, name: &str, urls: &[String]) -> Result<String> {
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))?
        .connect()
        .await?;
    let servers = urls.iter().enumerate().map(|(number, url)| McpServer {
        name: format!("server{number}"),
        r#type: McpTransport::Http.into(),
        url: url.clone(),
        ..McpServer::default()
    });
    let request = CreateAgentRequest {
        name: name.to_owned(),
        custom_mcps: servers.collect(),
        ..CreateAgentRequest::default()
    };
    let created = AgentServiceClient::new(channel)
        .create_agent(account.signed(request))
        .await?;
    Ok(created.into_inner().agent_id)
}

async fn run(address: SocketAddr, account: &Account, agent_id: &str) -> Result<Took> {
    let mut client = connect(address).await?;
    let mut start = start_on("bench/one");
    agent_id.clone_into(&mut start.agent_id);
    "code".clone_into(&mut start.mode);
    let began = Instant::now();
    let run = client.start_run(account.signed(start)).await?.into_inner().agent_run_id;
    let answer = millis(began.elapsed());
    let mut reader = Reader::new(&run);
    let request = StreamRunRequest {
        agent_run_id: run,
        after_sequence: 0,
        ..Default::default()
    };
    let mut stream = client.stream_run(account.signed(request)).await?.into_inner();
    let mut token = None;
    while let Some(event) = stream.message().await? {
        reader.take(&event)?;
        match event.event {
            Some(Event::MessageDelta(_)) if token.is_none() => token = Some(millis(began.elapsed())),
            Some(Event::Notice(notice)) => return Err(format!("a run got a notice: {}", notice.message).into()),
            _ => {}
        }
    }
    reader.ended(RunStatus::Completed)?;
    let token = token.ok_or("the run produced no token")?;
    Ok(Took { answer, token })
}

/// Two MCP servers for the protocol revision 2026-07-28.
struct Servers {
    urls: [String; 2],
    /// Number of answered requests for lists.
    lists: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Servers {
    async fn start() -> Result<Self> {
        let lists = Arc::<AtomicUsize>::default();
        let router = Router::new().route("/one", post(answer)).route("/two", post(answer));
        let router = router.with_state(Arc::clone(&lists));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            // The task ends with this value, so an error of the server shows as a failed run.
            let _ = axum::serve(listener, router).await;
        });
        let urls = ["one", "two"].map(|path| format!("http://{address}/{path}"));
        Ok(Self { urls, lists, task })
    }

    /// Waits until the tools of both servers are listed, and until the answers have arrived.
    async fn listed(&self) {
        let began = Instant::now();
        while self.lists.load(Ordering::Relaxed) < self.urls.len() && began.elapsed() < LISTED {
            sleep(WAIT / 10).await;
        }
        sleep(WAIT).await;
    }
}

async fn answer(State(lists): State<Arc<AtomicUsize>>, body: Bytes) -> Response {
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    sleep(WAIT).await;
    let tool = json!({"name": "look", "description": "Looks.", "inputSchema": {"type": "object"}});
    let result = match request["method"].as_str() {
        Some("server/discover") => json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
            "ttlMs": 0, "cacheScope": "private"
        }),
        Some("tools/list") => {
            lists.fetch_add(1, Ordering::Relaxed);
            json!({"resultType": "complete", "tools": [tool]})
        }
        _ => return StatusCode::ACCEPTED.into_response(),
    };
    let answer = json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}
