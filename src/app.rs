//! The state that all parts of the process share. It is created once at startup.

use std::{ops::Deref, sync::Arc};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    accounts::{AccountQueues, Accounts, suspension},
    clock::Clock,
    config::{Config, ModeTable, ModelTable, TierTable},
    db::Db,
    disk::Disk,
    error::Result,
    events::Hub,
    installation::Installation,
    llm::Models,
    mcp::Mcp,
    model_calls,
    projects::walks::Walks,
    runs::{Journal, Wake, WorkerSlots},
    sandbox::Sandboxes,
    secrets::Secrets,
    telemetry::{self, MeasuredModels, ModelMeasures},
    uploads::Arriving,
    web::Web,
    webhooks,
};

/// Maximum number of operations that wait in a queue of `placement_queues`.
const MAX_PLACING: usize = 100;

/// A reference to [`Handles`]; cheap to clone.
#[derive(Clone)]
pub struct App {
    handles: Arc<Handles>,
}

pub struct Handles {
    pub config: Config,
    pub clock: Clock,
    pub db: Db,
    /// Identity of the data folder, and whether this process is on standby.
    pub installation: Installation,
    pub tiers: TierTable,
    pub models: ModelTable,
    pub modes: ModeTable,
    pub accounts: Accounts,
    pub account_queues: AccountQueues,
    pub model_call_queues: AccountQueues,
    /// Limits concurrent directory walks over workspaces.
    pub walks: Walks,
    /// Queues of operations that write files to workspaces: one queue per project, not per account.
    pub placement_queues: AccountQueues,
    /// Files that clients are uploading as streams: number and size per account.
    pub arriving: Arriving,
    /// Checks the free space on the data folder's disk.
    pub disk: Disk,
    /// Recent events of live runs, for event streams.
    pub hub: Hub,
    pub journal: Journal,
    /// Wakes the worker for new runs and stop requests.
    pub wake: Wake,
    pub worker_slots: WorkerSlots,
    pub sandboxes: Sandboxes,
    /// Makes open streams check their API keys again after this process has revoked a key.
    pub key_revoked: watch::Sender<()>,
    pub llm: Models,
    pub model_measures: ModelMeasures,
    /// The HTTP client for MCP servers, and a cache of their tool lists.
    pub mcp: Mcp,
    /// The HTTP clients of the tools `web_fetch` and `web_search`.
    pub web: Web,
    /// The HTTP client of webhooks.
    pub webhooks: webhooks::Sender,
    pub secrets: Secrets,
    /// Cancelled at shutdown. Streams then end, and the worker claims no more runs.
    pub stopping: CancellationToken,
}

impl Deref for App {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.handles
    }
}

impl App {
    /// The models. Each call is measured.
    pub fn measured_models(&self) -> MeasuredModels<'_> {
        MeasuredModels {
            models: &self.llm,
            measures: &self.model_measures,
        }
    }

    /// Opens the database, detects the sandbox, sets up the models and starts the journal.
    ///
    /// # Errors
    /// Any error that prevents startup. The message says what to do.
    pub async fn open(config: Config) -> Result<Self> {
        let clock = Clock::default();
        let db = Db::open(&config).await?;
        // Here the preparation in another thread has ended; see `telemetry::prepare_metrics`.
        telemetry::start_metrics();
        let installation = Installation::open(&config, &db).await?;
        let hub = Hub::default();
        let journal = Journal::start(db.clone(), clock.clone());
        let (llm, models) = (Models::new(&config.engine())?, config.model_table());
        let handles = Handles {
            tiers: config.tier_table(),
            model_measures: ModelMeasures::new(&models, &config.providers, &llm),
            models,
            modes: config.mode_table(),
            accounts: Accounts::default(),
            account_queues: AccountQueues::default(),
            model_call_queues: model_calls::queues(),
            walks: Walks::default(),
            placement_queues: AccountQueues::new(1, MAX_PLACING),
            arriving: Arriving::default(),
            disk: Disk::new(&config.data_dir, config.sandbox.min_free_bytes),
            sandboxes: Sandboxes::detect(&config.sandbox, &config.data_dir)?,
            llm,
            mcp: Mcp::new(&config.mcp)?,
            web: Web::new(&config.web)?,
            webhooks: webhooks::Sender::new(&config.webhooks),
            secrets: Secrets::open(&config)?,
            wake: Wake::default(),
            worker_slots: WorkerSlots::default(),
            key_revoked: watch::Sender::new(()),
            installation,
            journal,
            stopping: CancellationToken::new(),
            hub,
            db,
            clock,
            config,
        };
        let app = Self {
            handles: Arc::new(handles),
        };
        suspension::refresh(&app).await?;
        Ok(app)
    }
}
