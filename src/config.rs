//! The configuration: one TOML file, environment variables over it, defaults under it.
//!
//! Read once at start by `commands`; everything after that sees finished values. The tables of models and tiers are data:
//! their defaults are in `config/defaults.toml`, which is also what docs/configuration.md prints.

pub mod environment;
pub mod models;
mod place;
pub mod rates;
pub mod tiers;

use std::{net::SocketAddr, path::PathBuf};

use secrecy::SecretString;
use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::error::{Error, Result};
pub use models::{Model, ModelTable, Provider, ProviderKind};
use place::{File, Mistake};
use rates::{Network, SlowRateLimit};
pub use rates::{Rate, RateLimit};
pub use tiers::{Tier, TierTable};

/// Seconds: the contract promises a sign of life as often as this.
const MAX_HEARTBEAT: u64 = 10;
/// Seconds: so long nobody takes up the runs of a worker that died.
const MAX_LEASE: u64 = 3_600;

const DEFAULTS: &str = include_str!("config/defaults.toml");

/// Everything that a deployment can set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The address of the one port.
    pub listen: SocketAddr,
    /// Where the SQLite file, workspaces, uploads and generated secrets live.
    pub data_dir: PathBuf,
    /// A PostgreSQL URL; SQLite in the data folder when absent.
    pub database_url: Option<SecretString>,
    /// Whether tiers and credits are enforced.
    pub limits: Limits,
    /// Who may ask.
    pub auth: Auth,
    /// The door.
    pub http: Http,
    /// How runs are worked on.
    pub worker: Worker,
    /// Where tools run.
    pub sandbox: Sandbox,
    /// Providers of models by name.
    #[serde(default)]
    pub providers: std::collections::BTreeMap<String, Provider>,
    /// The public models.
    pub models: Vec<Model>,
    /// The tiers.
    pub tiers: Vec<Tier>,
}

/// Whether tiers and credits are enforced.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Limits {
    /// They are.
    On,
    /// A private installation without plans.
    Off,
}

/// Who may ask, and how they prove it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The HS256 secret; made in the data folder when neither it nor a JWKS is given.
    pub jwt_secret: Option<SecretString>,
    /// A JWKS file with public keys for RS256, ES256 and EdDSA.
    pub jwks_file: Option<PathBuf>,
    /// The URL of a JWKS, instead of a file: https, or http on this machine.
    pub jwks_url: Option<String>,
    /// The `iss` that tokens must have, when set.
    pub issuer: Option<String>,
    /// The `aud` that tokens must contain, when set.
    pub audience: Option<String>,
    /// The claim that gives the role.
    pub role_claim: String,
    /// A token that opens /metrics, besides a super admin's.
    pub metrics_token: Option<SecretString>,
    /// Whether a valid token of a new subject makes an account. When not, an administrator makes accounts.
    pub self_registration: bool,
    /// Rate of new accounts from one address.
    pub new_accounts_per_address: SlowRateLimit,
}

/// The door.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Origins that browsers may call from, exactly; none by default.
    pub cors_origins: Vec<String>,
    /// Headers that pages of these origins may send, besides the usual ones.
    pub cors_headers: Vec<String>,
    /// A folder with a console to serve, instead of the one in the program.
    pub console_dir: Option<PathBuf>,
    /// The largest body of a JSON request or gRPC message, in bytes.
    pub max_message_bytes: usize,
    /// The largest multipart body, in bytes.
    pub max_form_bytes: u64,
    /// How long open requests may take to end at shutdown, in seconds. Until then no other process can answer.
    pub shutdown_grace_seconds: u64,
    /// How often an idle event stream says that it is alive, in seconds.
    pub heartbeat_seconds: u64,
    /// Maximum number of open connections.
    pub max_connections: usize,
    /// Maximum number of idle connections of one address on which no credential was accepted.
    pub max_idle_per_address: usize,
    /// Maximum number of open streams: events, content of files, health, reflection.
    pub max_streams: usize,
    /// Maximum number of open streams of one account.
    pub max_streams_per_account: usize,
    /// Maximum size of all answers that wait for their readers, in bytes.
    pub max_unread_bytes: usize,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Rate of requests of one account.
    pub rate_per_account: Option<RateLimit>,
    /// Rate of requests of one address.
    pub rate_per_address: Option<RateLimit>,
}

/// How runs are worked on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// Runs that one process works on at once.
    pub max_runs: usize,
    /// How long a lease lasts without renewal, in seconds.
    pub lease_seconds: u64,
    /// How long a run may take, in seconds.
    pub run_timeout_seconds: u64,
    /// Model calls of one run at most.
    pub max_steps: u32,
    /// Tokens that one run may use at most, in and out together.
    pub max_tokens: u64,
    /// Tool calls that may run at the same time.
    pub max_parallel_calls: usize,
}

/// Where tools run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sandbox {
    /// The first uid of the range that projects get, when the service runs as root.
    pub uid_base: u32,
    /// Another root file system for the sandbox, instead of the host's /usr.
    pub rootfs: Option<PathBuf>,
    /// The bubblewrap program.
    pub bwrap: PathBuf,
    /// How long a command may take when the model does not say, in seconds.
    pub default_timeout_seconds: u64,
    /// How long a command may take at most, in seconds.
    pub max_timeout_seconds: u64,
    /// Output of one call that the model sees, in bytes: head and tail are kept.
    pub max_output_bytes: usize,
    /// What a workspace may hold, in bytes.
    pub max_workspace_bytes: u64,
    /// Free space to keep on the disk of the data folder, in bytes, or 5 % of a small disk. Below it, uploads and new runs are
    /// refused, and a command that writes is ended.
    pub min_free_bytes: u64,
    /// How many files and folders a workspace may hold.
    pub max_workspace_files: u64,
    /// The largest single file that a command may write, in bytes.
    pub max_file_bytes: u64,
    /// The size of the private /tmp, in bytes.
    pub tmp_bytes: u64,
    /// Memory of one command's process tree, in bytes.
    pub max_memory_bytes: u64,
    /// Processes of one command's tree.
    pub max_processes: u64,
}

impl Config {
    /// Reads the defaults and lays the given file over them, key by key; lists of tables are replaced as a whole.
    ///
    /// # Errors
    /// INVALID_REQUEST with the file's name, the line and what is wrong there.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let file = File::parse(name, text)?;
        Self::read(&file, file.table().clone())
    }

    /// Lays what the file and the environment say over the defaults; mistakes are told in terms of the file.
    fn read(file: &File<'_>, over: DeTable<'_>) -> Result<Self> {
        let broken = |error| Error::internal("the built-in configuration is broken", error);
        let mut merged = DeTable::parse(DEFAULTS).map_err(broken)?;
        lay_over(merged.get_mut(), over);
        let config = Self::deserialize(toml::de::Deserializer::from(merged)).map_err(|error| file.misread(&error))?;
        config.check().map_err(|mistake| file.mistaken(&mistake))?;
        Ok(config)
    }

    /// The model table, with its rules.
    pub fn model_table(&self) -> ModelTable {
        ModelTable::new(self.models.clone())
    }

    /// The tier table, with its rules.
    pub fn tier_table(&self) -> TierTable {
        TierTable::new(self.tiers.clone())
    }

    fn check(&self) -> std::result::Result<(), Mistake<'_>> {
        models::check(&self.models, &self.providers)?;
        tiers::check(&self.tiers, &self.models)?;
        self.check_numbers()
    }

    fn check_numbers(&self) -> std::result::Result<(), Mistake<'_>> {
        let (http, worker) = (&self.http, &self.worker);
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        for (path, number, most) in [
            (["http", "heartbeat_seconds"], http.heartbeat_seconds, MAX_HEARTBEAT),
            (["worker", "lease_seconds"], worker.lease_seconds, MAX_LEASE),
            (["worker", "run_timeout_seconds"], worker.run_timeout_seconds, u64::MAX),
            (["http", "max_connections"], count(http.max_connections), u64::MAX),
            (
                ["http", "max_idle_per_address"],
                count(http.max_idle_per_address),
                u64::MAX,
            ),
            (["http", "max_streams"], count(http.max_streams), u64::MAX),
            (
                ["http", "max_streams_per_account"],
                count(http.max_streams_per_account),
                u64::MAX,
            ),
            (["http", "max_unread_bytes"], count(http.max_unread_bytes), u64::MAX),
        ] {
            if number == 0 {
                return Err(Mistake::at(path, "must be 1 or more"));
            }
            if number > most {
                return Err(Mistake::at(path, format!("must be {most} or less")));
            }
        }
        Ok(())
    }
}

fn lay_over<'t>(under: &mut DeTable<'t>, over: DeTable<'t>) {
    for (key, value) in over {
        match (under.get_mut(&**key.get_ref()).map(Spanned::get_mut), value) {
            (Some(DeValue::Table(below)), value) if value.get_ref().is_table() => {
                if let DeValue::Table(above) = value.into_inner() {
                    lay_over(below, above);
                }
            }
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}
