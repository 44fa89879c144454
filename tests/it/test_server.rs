//! A complete server for a test: its own database, data folder, port and scripted model.
//!
//! [`on_every_database`] runs a test on SQLite, and on PostgreSQL if `RUNYARD_TEST_POSTGRES_URL` is set.

mod database;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use crate::plans;
pub use database::{Database, Made, databases, with_name};
use reqwest::{RequestBuilder, Response, header::HeaderMap, multipart::Form};
use runyard::{
    app::App,
    clock::Clock,
    config::{Config, Provider, ProviderKind},
    server::Server,
    wire::jwt::{Grant, mint},
};
use runyard_client::v1::{agent_service_client::AgentServiceClient, run_service_client::RunServiceClient};
use runyard_upstream::{Gate, Script, Upstream};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::{Request, transport::Channel};

const SECRET: &str = "a secret of the tests that is long enough";

pub const TEST_TIMEOUT: Duration = Duration::from_secs(40);

/// Runs a test on a new server for each database. `script` answers the requests to the model.
pub async fn on_every_database<S: Into<Script>>(script: impl Fn(&Gate) -> S, test: impl AsyncFn(&mut TestServer)) {
    on_every_database_with(script, |_| {}, test).await;
}

/// Like [`on_every_database`], but with a changed configuration.
pub async fn on_every_database_with<S: Into<Script>>(
    script: impl Fn(&Gate) -> S,
    change: impl Fn(&mut Config),
    test: impl AsyncFn(&mut TestServer),
) {
    for database in databases() {
        let gate = Gate::new();
        // In boxes, because the future of a test would otherwise contain several configurations.
        let mut server = Box::new(Box::pin(TestServer::open(&database, script(&gate), &change)).await);
        server.gate = gate;
        test(&mut server).await;
        Box::pin(server.close()).await;
    }
}

pub struct TestServer {
    pub upstream: Upstream,
    /// The gate that blocks the scripted model until the test opens it.
    pub gate: Gate,
    pub config: Config,
    pub address: SocketAddr,
    pub clock: Clock,
    /// The state of the running server; `None` while the server is stopped.
    pub app: Option<App>,
    pub http: reqwest::Client,
    /// True if closing the server checks the query plans. A test that drops and recreates indexes disables the check,
    /// because SQLite chooses between two equally good indexes by their order of creation.
    pub explains: bool,
    running: Option<(CancellationToken, JoinHandle<()>)>,
    database: Option<Made>,
    _folder: Arc<TempDir>,
}

impl TestServer {
    pub async fn open(database: &Database, script: impl Into<Script>, change: impl Fn(&mut Config)) -> Self {
        let upstream = Upstream::start(script).await;
        let folder = tempfile::Builder::new().prefix("runyard-it-").tempdir().unwrap();
        // If the service runs as root, each project has its own uid, and these uids must be able to traverse the
        // folder.
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut config = Config::parse("the test's configuration", "").unwrap();
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.data_dir = folder.path().join("data");
        config.auth.jwt_secret = Some(SecretString::from(SECRET));
        config.sandbox.program = Some(PathBuf::from(env!("CARGO_BIN_EXE_runyard")));
        config.worker.lease_seconds = 10;
        config.http.shutdown_grace_seconds = 3;
        let provider = Provider {
            base_url: Some(upstream.base_url()),
            api_key: Some(SecretString::from("sk-test")),
            model: Some("scripted".to_owned()),
            ..Provider::new(ProviderKind::OpenAi)
        };
        config.providers.insert("default".to_owned(), provider);
        let made = database.make().await;
        config.database_url = made.as_ref().map(|made| SecretString::from(made.url.clone()));
        change(&mut config);
        let (address, app, running) = start(&config).await;
        Self {
            upstream,
            gate: Gate::new(),
            config,
            address,
            clock: app.clock.clone(),
            app: Some(app),
            http: reqwest::Client::new(),
            explains: true,
            running: Some(running),
            database: made,
            _folder: Arc::new(folder),
        }
    }

    /// Stops the server as SIGTERM does, and starts a new server with the same data.
    pub async fn restart(&mut self) {
        self.stop().await;
        let (address, app, running) = start(&self.config).await;
        (self.address, self.clock, self.running) = (address, app.clock.clone(), Some(running));
        self.app = Some(app);
    }

    pub async fn stop(&mut self) {
        // The server releases the data folder only after all its database handles are dropped.
        self.app = None;
        if let Some((stopping, server)) = self.running.take() {
            stopping.cancel();
            server.await.unwrap();
        }
    }

    async fn close(mut self) {
        self.stop().await;
        let db = self.outside().await;
        if self.explains {
            plans::check(&db).await;
        }
        db.close().await.unwrap();
        if let Some(made) = self.database.take() {
            made.drop().await;
        }
    }

    pub fn data_dir(&self) -> PathBuf {
        self.config.data_dir.clone()
    }

    pub fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    /// Opens a database connection that the server does not use.
    pub async fn outside(&self) -> sea_orm::DatabaseConnection {
        use secrecy::ExposeSecret;
        let url = match (&self.config.database_url, &self.database) {
            (Some(url), Some(made)) if url.expose_secret() == made.url => made.direct.clone(),
            (Some(url), _) => url.expose_secret().to_owned(),
            (None, _) => format!("sqlite://{}", self.data_dir().join("runyard.db").display()),
        };
        sea_orm::Database::connect(url).await.unwrap()
    }

    pub async fn number(&self, sql: &str) -> i64 {
        use sea_orm::{ConnectionTrait, Statement};
        let db = self.outside().await;
        let statement = Statement::from_string(db.get_database_backend(), sql);
        let row = db.query_one_raw(statement).await.unwrap().unwrap();
        db.close().await.unwrap();
        row.try_get_by_index(0).unwrap()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns a caller with a valid token. Each name is a separate account.
    pub fn caller(&self, name: &str) -> Caller {
        self.caller_as(name, None)
    }

    pub fn caller_as(&self, name: &str, role: Option<&str>) -> Caller {
        let grant = Grant {
            subject: name.to_owned(),
            role: role.map(str::to_owned),
            lifetime: Duration::from_hours(1),
        };
        let token = mint(&self.config.auth, &SecretString::from(SECRET), &grant, self.clock.now()).unwrap();
        Caller {
            token,
            http: self.http.clone(),
            address: self.address,
        }
    }
}

async fn start(config: &Config) -> (SocketAddr, App, (CancellationToken, JoinHandle<()>)) {
    runyard::telemetry::start_metrics();
    plans::record::start();
    let server = Server::open(config.clone()).await.unwrap();
    let (address, app) = (server.address().unwrap(), server.app().clone());
    let stopping = app.stopping.clone();
    let task = tokio::spawn(async move { server.run().await.unwrap() });
    (address, app, (stopping, task))
}

#[derive(Clone)]
pub struct Caller {
    pub token: String,
    http: reqwest::Client,
    address: SocketAddr,
}

impl Caller {
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        self.http.request(method.parse().unwrap(), url).bearer_auth(&self.token)
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request("GET", path).send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request("POST", path).json(&body).send().await.unwrap()).await
    }

    pub async fn form(&self, path: &str, form: Form) -> Answer {
        Answer::of(self.request("POST", path).multipart(form).send().await.unwrap()).await
    }

    pub async fn start(&self, prompt: &str) -> Value {
        self.post("/agent/start", json!({"prompt": prompt})).await.ok()
    }

    /// Reads the events of a run after a cursor, until the run ends.
    pub async fn events(&self, run: &Value, after: i64) -> Vec<SseEvent> {
        let run_id = run["agent_run_id"].as_str().unwrap();
        let path = format!("/agent-run/{run_id}/stream?last_id={after}");
        let response = self.request("GET", &path).timeout(TEST_TIMEOUT).send().await.unwrap();
        assert_eq!(response.status(), 200, "{:?}", response.text().await);
        let text = response.text().await.unwrap();
        parse_sse(&text)
    }

    /// Waits until a run has ended. Returns the run.
    pub async fn ended(&self, run: &Value) -> Value {
        self.events(run, 0).await;
        self.get(&format!("/agent-run/{}", run["agent_run_id"].as_str().unwrap()))
            .await
            .ok()
    }

    pub async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    pub async fn runs(&self) -> RunServiceClient<Channel> {
        RunServiceClient::new(self.channel().await)
    }

    pub async fn agents(&self) -> AgentServiceClient<Channel> {
        AgentServiceClient::new(self.channel().await)
    }

    pub fn signed<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", format!("Bearer {}", self.token).parse().unwrap());
        request
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self {
            status,
            headers,
            text: response.text().await.unwrap(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// Checks that the response is successful. Returns its body.
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// Checks the status and the error code of an error response. Returns its body.
    pub fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!(
            (self.status, self.header("x-error-code")),
            (status, code),
            "{}",
            self.text
        );
        self.json()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct SseEvent {
    pub id: String,
    pub event: String,
    pub data: Value,
}

pub fn parse_sse(text: &str) -> Vec<SseEvent> {
    text.split("\n\n")
        .filter(|block| block.lines().any(|line| line.starts_with("data:")))
        .map(|block| {
            let field = |name: &str| {
                let line = block
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                line.unwrap_or_default().to_owned()
            };
            SseEvent {
                id: field("id"),
                event: field("event"),
                data: serde_json::from_str(&field("data")).unwrap(),
            }
        })
        .collect()
}

/// Checks that every sequence number from `first` on occurs exactly once, and that only the last event is terminal.
pub fn assert_no_gaps(events: &[SseEvent], first: i64) {
    for (position, event) in events.iter().enumerate() {
        let sequence = first + i64::try_from(position).unwrap();
        assert_eq!(event.data["sequence"], sequence, "{events:#?}");
        assert_eq!(event.id, sequence.to_string());
    }
    let is_terminal = |event: &SseEvent| {
        event.event == "status" && !["running", "waiting"].contains(&event.data["status"]["status"].as_str().unwrap())
    };
    assert_eq!(
        events.iter().filter(|event| is_terminal(event)).count(),
        1,
        "{events:#?}"
    );
    assert!(is_terminal(events.last().unwrap()), "{events:#?}");
}

pub fn kinds(events: &[SseEvent]) -> Vec<&str> {
    events.iter().map(|event| event.event.as_str()).collect()
}
