//! The floor: a minimal server with which the benchmark compares Runyard.
//!
//! The floor starts runs over JSON and gRPC, and calls the model. All rows are in SQLite, and an event is sent only
//! after its commit. It has no limits, secondary indexes or sandbox. It does not verify tokens.

mod rpc;
mod store;
mod upstream;

use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::SystemTime,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode},
    routing::{get, post},
    serve::ListenerExt,
};
use prost::Message;
use runyard::v1::{
    MessageDelta, MessageFinished, RunEvent, RunStatus, StartRunResponse, StatusChanged, run_event::Event,
};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
};
use tonic::service::Routes;
use uuid::Uuid;

use crate::{Result, children, report};
use rpc::api::run_service_server::RunServiceServer;
use store::{Row, Store, Work};
use upstream::Models;

pub(crate) struct Setup {
    pub(crate) address: SocketAddr,
    pub(crate) folder: PathBuf,
    /// Base URLs of the scripted models, in the format of `children::play_model`.
    pub(crate) models: String,
}

struct Run {
    id: Uuid,
    account: u64,
    sequence: AtomicI64,
    log: watch::Sender<Log>,
    stop: Notify,
}

#[derive(Default)]
struct Log {
    events: Vec<RunEvent>,
    has_ended: bool,
}

type Runs = Arc<Mutex<HashMap<Uuid, Arc<Run>>>>;

#[derive(Clone)]
struct Floor {
    store: Store,
    runs: Runs,
    models: Models,
}

pub(crate) async fn serve(setup: &Setup) -> Result<()> {
    let runs = Runs::default();
    let floor = Floor {
        store: Store::open(&setup.folder, Arc::clone(&runs))?,
        runs,
        models: Models::read(&setup.models)?,
    };
    let grpc = Routes::new(RunServiceServer::new(floor.clone())).into_axum_router();
    let http = Router::new()
        .route("/readyz", get(async || "ready"))
        .route("/v1/agent/start", post(start_over_json))
        .with_state(floor);
    let listener = TcpListener::bind(setup.address).await?.tap_io(|socket| {
        // Disables Nagle's algorithm, because each event is a small write.
        let _ = socket.set_nodelay(true);
    });
    tokio::select! {
        outcome = axum::serve(listener, http.merge(grpc)) => Ok(outcome?),
        outcome = children::until_input_ends() => outcome,
    }
}

#[derive(Deserialize)]
struct Start {
    prompt: String,
    model_name: String,
}

async fn start_over_json(
    State(floor): State<Floor>,
    headers: HeaderMap,
    body: Bytes,
) -> std::result::Result<String, StatusCode> {
    let Ok(start) = serde_json::from_slice::<Start>(&body) else {
        return Err(StatusCode::BAD_REQUEST);
    };
    let token = headers.get("authorization").map(HeaderValue::as_bytes);
    match floor.start(account(token), &start.model_name, start.prompt).await {
        Ok(started) => Ok(json!({
            "thread_id": started.thread_id, "agent_run_id": started.agent_run_id, "project_id": started.project_id,
            "status": "running",
        })
        .to_string()),
        Err(fault) => {
            report::complain(&fault);
            Err(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// Returns a hash of the token, which identifies the caller.
fn account(token: Option<&[u8]>) -> u64 {
    let mut hasher = DefaultHasher::new();
    token.hash(&mut hasher);
    hasher.finish()
}

impl Floor {
    /// Commits a new run and its first event. The run continues in the background.
    async fn start(&self, account: u64, model: &str, prompt: String) -> Result<StartRunResponse> {
        let url = self.models.url(model)?;
        let (thread, project) = (Uuid::now_v7(), Uuid::now_v7());
        let run = Arc::new(Run {
            id: Uuid::now_v7(),
            account,
            sequence: AtomicI64::new(0),
            log: watch::channel(Log::default()).0,
            stop: Notify::new(),
        });
        lock(&self.runs).insert(run.id, Arc::clone(&run));
        let first = run.row(Event::Status(changed(RunStatus::Running)));
        let (id, prompt_of_run) = (run.id.to_string(), prompt.clone());
        self.store.start(&run, (thread, project), prompt, first).await?;
        tokio::spawn(self.clone().execute(run, url, prompt_of_run));
        Ok(StartRunResponse {
            thread_id: thread.to_string(),
            agent_run_id: id,
            project_id: project.to_string(),
            status: RunStatus::Running.into(),
            ..StartRunResponse::default()
        })
    }

    async fn execute(self, run: Arc<Run>, url: http::Uri, prompt: String) {
        let answered = tokio::select! {
            answered = self.answer(&run, url, &prompt) => answered,
            () = run.stop.notified() => Ok(None),
        };
        let mut rows = Vec::new();
        let (status, text) = match answered {
            Ok(Some(text)) => {
                let message = MessageFinished {
                    message_id: run.id.to_string(),
                    text: text.clone(),
                    partial: false,
                };
                rows.push(run.row(Event::Message(message)));
                (RunStatus::Completed, text)
            }
            Ok(None) => (RunStatus::Stopped, String::new()),
            Err(fault) => {
                report::complain(&fault);
                (RunStatus::Failed, String::new())
            }
        };
        rows.push(run.row(Event::Status(changed(status))));
        if let Err(fault) = self.store.send(Work::End {
            run,
            rows,
            status,
            text,
        }) {
            report::complain(&fault);
        }
    }

    /// Calls the model and returns its answer. Never returns `None`, with which `execute` represents a stopped run.
    async fn answer(&self, run: &Arc<Run>, url: http::Uri, prompt: &str) -> Result<Option<String>> {
        let mut answer = self.models.call(url, prompt).await?;
        let mut text = String::new();
        while let Some(deltas) = answer.next().await? {
            let rows = deltas.into_iter().map(|delta| {
                text.push_str(&delta);
                run.row(Event::MessageDelta(MessageDelta {
                    message_id: run.id.to_string(),
                    text: delta,
                }))
            });
            let rows: Vec<Row> = rows.collect();
            if !rows.is_empty() {
                self.store.send(Work::Append {
                    run: Arc::clone(run),
                    rows,
                })?;
            }
        }
        Ok(Some(text))
    }
}

impl Log {
    /// Returns the events from index `position` on, and whether the run has ended.
    fn after(&self, position: usize) -> (Vec<RunEvent>, bool) {
        (self.events.get(position..).unwrap_or_default().to_vec(), self.has_ended)
    }
}

impl Run {
    /// Returns the row of the run's next event. Only one task at a time may append to a run, so that sequence numbers
    /// are in order.
    fn row(&self, event: Event) -> Row {
        let event = RunEvent {
            agent_run_id: self.id.to_string(),
            sequence: self.sequence.fetch_add(1, Ordering::Relaxed) + 1,
            created_at: Some(SystemTime::now().into()),
            event: Some(event),
        };
        let bytes = event.encode_to_vec();
        Row { event, bytes }
    }
}

fn changed(status: RunStatus) -> StatusChanged {
    StatusChanged {
        status: status.into(),
        ..StatusChanged::default()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
