//! The configuration. Environment variables override the file, and the file overrides `config/defaults.toml`.
//! `commands` loads the configuration once at start.

mod advice;
pub mod environment;
mod log;
mod mcp;
pub mod models;
pub mod modes;
mod nearest;
mod place;
pub mod rates;
mod retention;
mod schedules;
mod secrets;
mod sign_in;
pub mod tiers;
mod triggers;
mod web;
mod webhooks;

use std::{net::SocketAddr, path::PathBuf};

use secrecy::SecretString;
use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    egress::hosts::HostList,
    error::{Error, Result},
};
pub use log::{Log, LoggedRequests};
pub use mcp::Mcp;
pub use models::{Model, ModelTable, Provider, ProviderKind, VisionSettings};
pub use modes::{Mode, ModeTable};
use place::{File, Mistake};
use rates::{Network, SlowRateLimit};
pub use rates::{Rate, RateLimit};
pub use retention::Retention;
pub use schedules::Schedules;
pub use secrets::Secrets;
pub use sign_in::{SignIn, SignInToken};
pub use tiers::{Tier, TierTable};
pub use triggers::Triggers;
pub use web::{HostPattern, SearchProvider, Web, WebSearch};
pub use webhooks::Webhooks;

/// Maximum heartbeat interval in seconds. The API promises that heartbeats are never further apart.
const MAX_HEARTBEAT: u64 = 10;
/// Maximum lease in seconds. The runs of a dead worker resume only after their leases expire.
const MAX_LEASE: u64 = 3_600;
/// One day, in seconds.
const MAX_MCP_TIMEOUT: u64 = 86_400;

/// Largest configurable `max_per_agent`, `max_per_account` and `max_bytes`. They bound the cost of a search, because
/// PostgreSQL then reads all memories of an agent or account.
const MAX_MEMORY: [u64; 3] = [10_000, 100_000, 16_384];

/// Largest configurable number of webhooks, schedules, triggers and secrets per account, and of concurrent requests per webhook.
const MAX_WEBHOOKS: u64 = 1_000;
/// In bytes. The body of a request to a trigger is held in memory before the request is authenticated.
const MAX_TRIGGER_BODY: u64 = 8 * 1024 * 1024;
/// In seconds. A server holds the lease on a webhook for longer than the longest request.
const MAX_WEBHOOK_TIMEOUT: u64 = 60;
const MAX_KEEP_DAYS: u64 = 3_650;

/// The limit exists only to catch mistakes.
const MAX_DATABASE_CONNECTIONS: u32 = 10_000;

const DEFAULTS: &str = include_str!("config/defaults.toml");

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    /// Folder of the SQLite database, workspaces, uploads and generated secrets.
    pub data_dir: PathBuf,
    /// PostgreSQL URL; `None` for SQLite in the data folder.
    pub database_url: Option<SecretString>,
    pub database_connections: u32,
    pub limits: Limits,
    /// Key of 32 or more bytes that encrypts stored secrets, such as the headers of MCP servers and the signing
    /// secrets of webhooks. If it is `None`, the
    /// server generates a key in the data folder.
    pub secrets_key: Option<SecretString>,
    pub auth: Auth,
    pub http: Http,
    pub log: Log,
    pub worker: Worker,
    pub sandbox: runyard_sandbox::Config,
    pub memory: Memory,
    pub mcp: Mcp,
    pub web: Web,
    pub webhooks: Webhooks,
    pub retention: Retention,
    pub schedules: Schedules,
    pub triggers: Triggers,
    pub secrets: Secrets,
    #[serde(default)]
    pub providers: std::collections::BTreeMap<String, Provider>,
    pub models: Vec<Model>,
    /// A mode with the name of a built-in mode replaces the built-in mode.
    #[serde(default)]
    pub modes: Vec<Mode>,
    pub skills: Skills,
    /// New accounts get the first tier.
    pub tiers: Vec<Tier>,
}

/// Whether tiers and credits are enforced.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Limits {
    On,
    Off,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The HS256 secret. If neither a secret nor public keys are set, the server generates a secret in the data
    /// folder.
    pub jwt_secret: Option<SecretString>,
    /// A JWKS file with public keys.
    pub jwks_file: Option<PathBuf>,
    /// URL of a JWKS: https, or http to a loopback address. `allow_private_http` also permits http to private
    /// networks.
    pub jwks_url: Option<String>,
    /// Issuer whose OpenID Connect discovery document names the URL of the JWKS. If `issuer` is `None`, this is also
    /// the required `iss` of tokens.
    pub issuer_url: Option<String>,
    /// Permits http to private networks for `jwks_url` and `issuer_url`.
    pub allow_private_http: bool,
    /// Required `iss` of tokens. The default is `issuer_url`.
    pub issuer: Option<String>,
    /// Value that the `aud` of tokens must contain; `None` for no check.
    pub audience: Option<String>,
    /// Clients to which tokens may be issued; empty for all. If the list is not empty, a token must have at least one
    /// of the claims `azp`, `client_id` and `appid`, and each of them must name a listed client.
    pub client_ids: Vec<String>,
    pub role_claim: String,
    /// Token for /metrics. The token of a super admin is accepted too.
    pub metrics_token: Option<SecretString>,
    /// If false, only administrators create accounts. If true, a valid token with a new subject creates one.
    pub self_registration: bool,
    pub new_accounts_per_address: SlowRateLimit,
    pub sign_in: SignIn,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Origins from which browsers may call the API.
    pub cors_origins: Vec<String>,
    /// Request headers that pages from `cors_origins` may send in addition to the standard headers.
    pub cors_headers: Vec<String>,
    /// Folder of a web console that replaces the embedded console.
    pub console_dir: Option<PathBuf>,
    /// Maximum size of a JSON body or gRPC message.
    pub max_message_bytes: usize,
    /// Maximum size of a multipart body.
    pub max_form_bytes: u64,
    /// Time for open requests to finish at shutdown.
    pub shutdown_grace_seconds: u64,
    /// Interval between heartbeats on an idle event stream.
    pub heartbeat_seconds: u64,
    pub max_connections: usize,
    /// Maximum number of idle connections per client address. Connections with an accepted credential do not count.
    pub max_idle_per_address: usize,
    /// Maximum number of open streams: events, file contents, health and reflection.
    pub max_streams: usize,
    pub max_streams_per_account: usize,
    /// Maximum total size of responses that clients have not read yet.
    pub max_unread_bytes: usize,
    /// Proxies whose `X-Forwarded-For` header is trusted.
    pub trusted_proxies: Vec<Network>,
    /// `None` for the default in `config/rates.rs`.
    pub rate_per_account: Option<RateLimit>,
    /// `None` for the default in `config/rates.rs`.
    pub rate_per_address: Option<RateLimit>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// Maximum number of concurrent runs per process.
    pub max_runs: usize,
    /// Time after which an unrenewed lease expires.
    pub lease_seconds: u64,
    pub run_timeout_seconds: u64,
    /// Maximum number of model calls per run.
    pub max_steps: u32,
    /// Maximum number of input and output tokens per run.
    pub max_tokens: u64,
    /// Maximum number of parallel tool calls per run.
    pub max_parallel_calls: usize,
}

/// Settings of skills, which are folders of instructions and files for agents.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skills {
    /// Maximum size of the skill list in a system prompt. If the list is larger, descriptions are shortened.
    pub prompt_bytes: usize,
    /// Maximum total size of an account's stored archives, over all skills and versions.
    pub max_bytes_per_account: u64,
}

/// Limits of the memories that agents keep across threads.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Maximum number of memories per agent, and of memories that belong to no agent.
    pub max_per_agent: u64,
    /// Maximum number of memories per account, including the memories of its agents.
    pub max_per_account: u64,
    pub max_bytes: usize,
    /// Maximum size, in estimated tokens, of the memories that the model receives at the start of a run. With 0, the
    /// model finds memories only with the tool `recall`.
    pub prompt_tokens: u64,
}

impl Auth {
    /// `None` if every issuer is accepted.
    pub fn expected_issuer(&self) -> Option<&str> {
        self.issuer.as_deref().or(self.issuer_url.as_deref())
    }

    pub fn has_public_keys(&self) -> bool {
        self.jwks_file.is_some() || self.jwks_url.is_some() || self.issuer_url.is_some()
    }
}

impl Config {
    /// Merges a configuration file over the defaults key by key. An array in the file replaces the default array.
    ///
    /// # Errors
    /// INVALID_REQUEST with the file's name, the line and the problem.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let file = File::parse(name, text)?;
        Self::read(&file, file.table().clone())
    }

    /// `over` holds the values of the file and of the environment. Errors name lines of the file.
    fn read(file: &File<'_>, over: DeTable<'_>) -> Result<Self> {
        let broken = |error| Error::internal("the built-in default configuration is invalid", error);
        let mut merged = DeTable::parse(DEFAULTS).map_err(broken)?;
        lay_over(merged.get_mut(), over);
        let config = Self::deserialize(toml::de::Deserializer::from(merged)).map_err(|error| file.misread(&error))?;
        config.check().map_err(|mistake| file.mistaken(&mistake))?;
        Ok(config)
    }

    pub fn model_table(&self) -> ModelTable {
        ModelTable::new(self.models.clone())
    }

    pub fn mode_table(&self) -> ModeTable {
        ModeTable::new(&self.modes)
    }

    pub fn tier_table(&self) -> TierTable {
        TierTable::new(self.tiers.clone())
    }

    fn check(&self) -> std::result::Result<(), Mistake<'_>> {
        models::check(&self.models, &self.providers)?;
        tiers::check(&self.tiers, &self.models)?;
        modes::check(&self.modes)?;
        if let Err(entry) = HostList::parse(&self.sandbox.allowed_hosts) {
            let what = format!(
                "{entry:?} is not a host: write a name such as pypi.org, *.example.org or example.org:8443, without a scheme or a path"
            );
            return Err(Mistake::at(["sandbox", "allowed_hosts"], what));
        }
        web::check(&self.web)?;
        sign_in::check(&self.auth)?;
        if !(1..=MAX_DATABASE_CONNECTIONS).contains(&self.database_connections) {
            let range = format!("must be 1 to {MAX_DATABASE_CONNECTIONS}");
            return Err(Mistake::at(["database_connections"], range));
        }
        self.check_numbers()
    }

    fn check_numbers(&self) -> std::result::Result<(), Mistake<'_>> {
        let (http, worker, memory, mcp, webhooks) = (&self.http, &self.worker, &self.memory, &self.mcp, &self.webhooks);
        let [most_per_agent, most_per_account, largest] = MAX_MEMORY;
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        for (path, number, most) in [
            (["http", "heartbeat_seconds"], http.heartbeat_seconds, MAX_HEARTBEAT),
            (["worker", "lease_seconds"], worker.lease_seconds, MAX_LEASE),
            (["worker", "run_timeout_seconds"], worker.run_timeout_seconds, u64::MAX),
            (
                ["mcp", "connect_timeout_seconds"],
                mcp.connect_timeout_seconds,
                MAX_MCP_TIMEOUT,
            ),
            (
                ["mcp", "idle_timeout_seconds"],
                mcp.idle_timeout_seconds,
                MAX_MCP_TIMEOUT,
            ),
            (
                ["mcp", "call_timeout_seconds"],
                mcp.call_timeout_seconds,
                MAX_MCP_TIMEOUT,
            ),
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
            (["memory", "max_per_agent"], memory.max_per_agent, most_per_agent),
            (["memory", "max_per_account"], memory.max_per_account, most_per_account),
            (["memory", "max_bytes"], count(memory.max_bytes), largest),
            (
                ["schedules", "max_per_account"],
                self.schedules.max_per_account,
                MAX_WEBHOOKS,
            ),
            (["schedules", "keep_days"], self.schedules.keep_days, MAX_KEEP_DAYS),
            (
                ["secrets", "max_per_account"],
                self.secrets.max_per_account,
                MAX_WEBHOOKS,
            ),
            (
                ["triggers", "max_per_account"],
                self.triggers.max_per_account,
                MAX_WEBHOOKS,
            ),
            (
                ["triggers", "max_body_bytes"],
                count(self.triggers.max_body_bytes),
                MAX_TRIGGER_BODY,
            ),
            (["webhooks", "max_per_account"], webhooks.max_per_account, MAX_WEBHOOKS),
            (
                ["webhooks", "timeout_seconds"],
                webhooks.timeout_seconds,
                MAX_WEBHOOK_TIMEOUT,
            ),
            (
                ["webhooks", "max_concurrent"],
                count(webhooks.max_concurrent),
                MAX_WEBHOOKS,
            ),
            (["webhooks", "max_per_second"], webhooks.max_per_second, u64::MAX),
            (["webhooks", "keep_days"], webhooks.keep_days, MAX_KEEP_DAYS),
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
