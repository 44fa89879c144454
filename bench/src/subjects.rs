//! The programs under measurement: Runyard servers with and without limits, and the minimal comparison server
//! (`floor.rs`).

use std::{fmt::Write, path::Path, path::PathBuf, time::Duration};

use crate::{
    Result,
    callers::Account,
    children::{self, Helper, Place, Server},
    database::Rows,
    fill, machine,
    options::Options,
    paced::Load,
    report::Figures,
    starts::Target,
    targets::{EXISTING, IDLE, NEW_FOLDER},
};

const DEFAULT_SLOTS: usize = 512;
/// Number of restarts in the measurement of the start-up time with existing data.
const START_UPS: usize = 5;
/// Idle time of a server before its memory is read.
pub(crate) const REST: Duration = Duration::from_secs(2);

pub(crate) struct Stage {
    pub(crate) model: Helper,
    pub(crate) echo: Helper,
    pub(crate) accounts: Vec<Account>,
    /// The account for live streams and other measurements with a single account.
    pub(crate) watcher: Account,
    /// Connection for the measurement of PostgreSQL without a Runyard server (`database.rs`).
    pub(crate) rows: Option<Rows>,
}

/// Whether the server enforces limits and charges credits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limits {
    On,
    Off,
}

impl Limits {
    fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

pub(crate) enum Subject {
    Server {
        program: PathBuf,
        folder: PathBuf,
        limits: Limits,
        config: String,
        database: Option<String>,
    },
    /// The minimal comparison server, which has no limits and always uses SQLite.
    Floor { folder: PathBuf, models: String },
}

impl Subject {
    /// Prepares a server without starting it. With PostgreSQL, creates the server's database.
    pub(crate) async fn server(
        options: &Options,
        stage: &Stage,
        program: &Path,
        folder: &Path,
        limits: Limits,
    ) -> Result<Self> {
        let folder = folder.join(limits.name());
        let (database, _) = fill::database(options.database.as_deref(), &folder).await?;
        let config = config(&stage.model.line, limits)?;
        Ok(Self::Server {
            program: program.to_owned(),
            folder,
            limits,
            config,
            database,
        })
    }

    async fn start(&self) -> Result<Server> {
        match self {
            Self::Server {
                program,
                folder,
                config,
                database,
                ..
            } => {
                let database = database.as_deref();
                Server::start(&Place {
                    program,
                    folder,
                    config,
                    database,
                })
                .await
            }
            Self::Floor { folder, models } => Server::start_floor(folder, models).await,
        }
    }

    /// Starts another server of the same program, on SQLite, with `more` appended to the configuration. Returns `None`
    /// for the floor.
    pub(crate) async fn start_beside(&self, name: &str, more: &str) -> Result<Option<Server>> {
        let Self::Server {
            program,
            folder,
            config,
            ..
        } = self
        else {
            return Ok(None);
        };
        let place = Place {
            program,
            folder: &folder.join(name),
            config: &format!("{config}{more}"),
            database: None,
        };
        Server::start(&place).await.map(Some)
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Server { program, limits, .. } => format!("{}, limits {}", program.display(), limits.name()),
            Self::Floor { .. } => "the floor".to_owned(),
        }
    }

    pub(crate) fn has_limits(&self) -> bool {
        matches!(self, Self::Server { limits: Limits::On, .. })
    }

    pub(crate) fn is_floor(&self) -> bool {
        matches!(self, Self::Floor { .. })
    }
}

pub(crate) struct Measured {
    pub(crate) subject: Subject,
    pub(crate) server: Server,
    pub(crate) figures: Figures,
    pub(crate) runs: usize,
}

impl Measured {
    /// Starts the program. Measures its memory while idle, and its start-up time in a new folder and after a restart.
    pub(crate) async fn open(options: &Options, subject: Subject) -> Result<Self> {
        let server = subject.start().await?;
        let mut measured = Self {
            subject,
            server,
            figures: Figures::default(),
            runs: 0,
        };
        if options.wants("start-up") {
            let took = machine::millis(measured.server.start_up);
            measured.figures.add(NEW_FOLDER, "ms", took);
            measured = measured.restart("start-up, data without runs").await?;
        }
        if options.wants("memory") {
            tokio::time::sleep(REST).await;
            let memory = machine::memory_of(measured.server.pid())?;
            measured.figures.add(IDLE, "MiB", memory);
        }
        Ok(measured)
    }

    /// Measures the start-up time with the data of many runs.
    pub(crate) async fn restart_full(self) -> Result<Self> {
        self.restart(EXISTING).await
    }

    async fn restart(self, figure: &'static str) -> Result<Self> {
        let Self {
            subject,
            mut server,
            mut figures,
            runs,
        } = self;
        for _ in 0..START_UPS {
            server.stop().await?;
            server = subject.start().await?;
            figures.add(figure, "ms", machine::millis(server.start_up));
        }
        Ok(Self {
            subject,
            server,
            figures,
            runs,
        })
    }

    pub(crate) fn target<'a>(&self, stage: &'a Stage, helpers: &'a [u32]) -> Target<'a> {
        Target {
            address: self.server.address,
            server: self.server.pid(),
            helpers,
            accounts: &stage.accounts,
        }
    }
}

/// Returns the configuration of a server with the scripted models. Runs never reach the plan's limits. The worker
/// slots suffice for all concurrent streams.
pub(crate) fn config(models: &str, limits: Limits) -> Result<String> {
    // All accounts come from one address, so the limit on new accounts per address is off.
    let slots = Load::of_this_machine().streams.max(DEFAULT_SLOTS);
    let mut text = format!(
        "limits = \"{}\"\n[auth]\nnew_accounts_per_address = \"off\"\n[worker]\nmax_runs = {slots}\n",
        limits.name()
    );
    for (name, url) in children::models(models)? {
        let _ = write!(
            text,
            "[providers.{name}]\nkind = \"openai\"\nbase_url = \"{url}\"\napi_key = \"sk-bench\"\n\
             [[models]]\nname = \"bench/{name}\"\nprovider = \"{name}\"\nupstream = \"scripted\"\n\
             context_window = 128000\nmax_output_tokens = 8192\ninput_price = 0.3\noutput_price = 1.2\n"
        );
    }
    text.push_str(
        "[[tiers]]\nname = \"bench\"\nconcurrent_runs = 1000000\nagents = 1000000\nthreads = 100000000\n\
         projects = 100000000\nmodels = [\"*\"]\ndefault_model = \"bench/one\"\nmax_upload_bytes = 1000000\n\
         credits_granted = 1000000000\n",
    );
    Ok(text)
}
