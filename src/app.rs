//! The few handles that everything works with, made once at start.

use std::{ops::Deref, sync::Arc};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    accounts::{Accounts, Turns},
    agents::icons,
    clock::Clock,
    config::{Config, ModelTable, TierTable},
    db::Db,
    disk::Disk,
    error::Result,
    events::Hub,
    installation::Installation,
    llm::Models,
    projects::walks::Walks,
    runs::{Journal, Seats, Wake},
    sandbox::Sandboxes,
    uploads::Arriving,
};

/// Starts with files and written files that may wait for their turn in one project.
const MAX_PLACING: usize = 100;

/// The handles; cheap to clone.
#[derive(Clone)]
pub struct App {
    handles: Arc<Handles>,
}

/// What an [`App`] holds.
pub struct Handles {
    /// The configuration.
    pub config: Config,
    /// The time.
    pub clock: Clock,
    /// The database.
    pub db: Db,
    /// Whether this process may work on the database.
    pub installation: Installation,
    /// The tiers.
    pub tiers: TierTable,
    /// The public models.
    pub models: ModelTable,
    /// The memory of known subjects.
    pub accounts: Accounts,
    /// Whose turn it is to change an account.
    pub turns: Turns,
    /// Whose turn it is to have an icon chosen.
    pub icon_turns: Turns,
    /// Whose turn it is to walk over a workspace.
    pub walks: Walks,
    /// Whose turn it is to place files in a project.
    pub placing: Turns,
    /// The bytes that are arriving.
    pub arriving: Arriving,
    /// The disk of the data folder.
    pub disk: Disk,
    /// The newest events of live runs.
    pub hub: Hub,
    /// The one writer of running runs.
    pub journal: Journal,
    /// Tells the worker of new work and of stops.
    pub wake: Wake,
    /// The worker's free places.
    pub seats: Seats,
    /// Where tools run.
    pub sandboxes: Sandboxes,
    /// Tells open streams that an API key was revoked here.
    pub key_revoked: watch::Sender<()>,
    /// The models that answer.
    pub llm: Models,
    /// The process goes down: streams end, nothing new is claimed.
    pub stopping: CancellationToken,
}

impl Deref for App {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.handles
    }
}

impl App {
    /// Opens the database, finds out about the sandbox and the models, and starts the journal.
    ///
    /// # Errors
    /// What stops a start, in words that say what to do.
    pub async fn open(config: Config) -> Result<Self> {
        let clock = Clock::default();
        let db = Db::open(&config).await?;
        let installation = Installation::open(&config, &db).await?;
        let hub = Hub::default();
        let journal = Journal::start(db.clone(), clock.clone());
        let handles = Handles {
            tiers: config.tier_table(),
            models: config.model_table(),
            accounts: Accounts::default(),
            turns: Turns::default(),
            icon_turns: icons::turns(),
            walks: Walks::default(),
            placing: Turns::new(1, MAX_PLACING),
            arriving: Arriving::default(),
            disk: Disk::new(&config.data_dir, config.sandbox.min_free_bytes),
            sandboxes: Sandboxes::detect(&config.sandbox, &config.data_dir)?,
            llm: Models::new(&config, None)?,
            wake: Wake::default(),
            seats: Seats::default(),
            key_revoked: watch::Sender::new(()),
            installation,
            journal,
            stopping: CancellationToken::new(),
            hub,
            db,
            clock,
            config,
        };
        Ok(Self {
            handles: Arc::new(handles),
        })
    }
}
