//! `runyard doctor`: checks an installation before other machines may reach it.
//!
//! The command creates no secret, database or folder. Run it as the server's user, because the results depend on that
//! user's permissions and limits.

mod database;
mod tokens;

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::Path,
};

use clap::Args;
use rustix::process::Resource;

use super::{
    Outcome,
    checks::{Check, Report, Verdict},
    models,
    settings::{Settings, absolute},
};
use crate::{
    config::{
        Config, Limits, environment,
        models::{DEFAULT_PROVIDER, DEMO_PROVIDER},
    },
    error::Result,
    sandbox::Sandboxes,
    telemetry,
};

/// Recommended limit on open files. Each connection and each running command uses file descriptors.
const WANTED_FILES: u64 = 16 * 1024;
/// Default of `sandbox.min_free_bytes`. If less space is free, the server kills commands that write.
const FULL_DISK: u64 = 256 << 20;
/// Free space in bytes below which `doctor` prints a warning.
const TIGHT_DISK: u64 = 2 << 30;

/// Check an installation and say what to change before other machines may reach it.
///
/// Prints one line per check: ok, warn or bad, and what to do. Exits with status 1 if any check is bad. Changes
/// nothing.
#[derive(Args, Debug)]
pub(super) struct Doctor {
    /// Print a JSON object for each check.
    #[arg(long)]
    json: bool,
    /// Also ask each configured model a question, and show an image to models that see images. The calls cost what the
    /// provider charges.
    #[arg(long)]
    models: bool,
}

impl Doctor {
    pub(super) async fn execute(&self, settings: &Settings) -> Result<Outcome> {
        telemetry::start_logging(&settings.log_filter("off"))?;
        let checks = match settings.config() {
            Ok(config) => {
                let mut checks = vec![Check::ok("configuration", settings.source())];
                checks.extend(examine(&config).await);
                if self.models {
                    checks.extend(models::brief(config).await);
                }
                checks
            }
            Err(error) => vec![Check::bad("configuration", error.message())],
        };
        let variables = environment::warnings().into_iter();
        let checks = variables
            .map(|sentence| Check::warn("environment", sentence))
            .chain(checks);
        let mut report = Report::new(self.json);
        for check in checks {
            report.print(&check)?;
        }
        Ok(report.outcome())
    }
}

async fn examine(config: &Config) -> Vec<Check> {
    let mut checks = vec![address(config)];
    checks.push(limits(config));
    checks.push(rates(config));
    checks.push(proxies(config));
    checks.push(registration(config));
    checks.extend(origins(config));
    checks.extend(tokens::checks(config).await);
    checks.push(provider(config));
    checks.extend(data_folder(config));
    if config.database_url.is_none() {
        checks.extend(sqlite(config));
    }
    checks.extend(database::checks(config).await);
    checks.push(open_files());
    checks.extend(sandbox(config));
    checks
}

fn address(config: &Config) -> Check {
    let listen = config.listen;
    if !listen.ip().is_loopback() {
        let message = format!(
            "{listen} accepts unencrypted HTTP, tokens included, from other machines: listen on 127.0.0.1 behind a TLS proxy, \
             or allow only the proxy to reach this port"
        );
        return Check::warn("listen", message);
    }
    Check::ok("listen", format!("only this machine can reach {listen}"))
}

fn limits(config: &Config) -> Check {
    match config.limits {
        Limits::On => Check::ok("limits", "tiers and credits are enforced"),
        Limits::Off if config.is_exposed() => Check::bad(
            "limits",
            "off, so every account may use the models without limit: set RUNYARD_LIMITS=on",
        ),
        Limits::Off => Check::warn(
            "limits",
            "off: fine if only you use this server; otherwise set RUNYARD_LIMITS=on",
        ),
    }
}

fn rates(config: &Config) -> Check {
    match (config.rate_per_account(), config.rate_per_address()) {
        (Some(_), Some(_)) => Check::ok("rate limits", "on for accounts and addresses"),
        (None, _) if config.is_exposed() => Check::bad(
            "rate limits",
            "requests are not limited per account: remove http.rate_per_account = \"off\"",
        ),
        _ if config.is_exposed() => Check::warn(
            "rate limits",
            "requests are not limited per address: remove http.rate_per_address = \"off\", or limit addresses in the proxy",
        ),
        _ => Check::ok(
            "rate limits",
            "off, because the server listens on loopback without trusted proxies",
        ),
    }
}

/// A client in a trusted network could fake the address to which rate limits apply.
fn proxies(config: &Config) -> Check {
    let trusted = &config.http.trusted_proxies;
    match trusted.iter().find(|network| network.is_public()) {
        Some(network) => Check::bad(
            "trusted proxies",
            format!("{network} includes client addresses, so a client can fake its address: list only your proxies"),
        ),
        None if trusted.is_empty() => Check::ok(
            "trusted proxies",
            "none: if you use a reverse proxy, add it to http.trusted_proxies, or all clients share its address",
        ),
        None => Check::ok(
            "trusted proxies",
            format!("http.trusted_proxies lists {}", trusted.len()),
        ),
    }
}

fn registration(config: &Config) -> Check {
    if !config.auth.self_registration {
        return Check::ok("new accounts", "only administrators create accounts");
    }
    if config.new_accounts_per_address().is_some() {
        return Check::ok("new accounts", "limited per address");
    }
    let message = "every valid token with a new subject creates an account, and nothing limits the rate: set auth.new_accounts_per_address, \
                   or auth.self_registration = false";
    if config.is_exposed() {
        Check::bad("new accounts", message)
    } else {
        Check::warn("new accounts", message)
    }
}

fn origins(config: &Config) -> Vec<Check> {
    let plain = |origin: &&String| {
        let host = origin.strip_prefix("http://").unwrap_or_default();
        !host.is_empty()
            && !["localhost", "127.0.0.1", "[::1]"]
                .iter()
                .any(|local| host.starts_with(local))
    };
    let plain: Vec<&String> = config.http.cors_origins.iter().filter(plain).collect();
    match plain.first() {
        Some(origin) => vec![Check::warn(
            "origins",
            format!(
                "{origin} in http.cors_origins has no TLS, so an attacker on the network can act as its users: use https"
            ),
        )],
        None => vec![Check::ok(
            "origins",
            format!(
                "{} origin(s) in http.cors_origins may call the API from a browser",
                config.http.cors_origins.len()
            ),
        )],
    }
}

fn provider(config: &Config) -> Check {
    let real = |model: &&crate::config::Model| model.provider != DEMO_PROVIDER;
    let missing = config
        .models
        .iter()
        .filter(real)
        .any(|model| !config.providers.contains_key(&model.provider));
    if missing {
        let message = format!(
            "models whose provider is not configured are served by the built-in demo model: set RUNYARD_OPENAI_BASE_URL or \
             providers.{DEFAULT_PROVIDER}"
        );
        return Check::warn("provider", message);
    }
    Check::ok("provider", "every model has a configured provider")
}

fn data_folder(config: &Config) -> Vec<Check> {
    let folder = absolute(&config.data_dir);
    let shown = folder.display();
    let metadata = match fs::metadata(&folder) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => return vec![Check::bad("data folder", format!("{shown} is not a folder"))],
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return vec![Check::ok("data folder", format!("the first start will create {shown}"))];
        }
        Err(error) => {
            let message = format!("{shown} cannot be read ({error}): run doctor as the server's user");
            return vec![Check::bad("data folder", message)];
        }
    };
    vec![owner(&folder, &metadata), disk(&folder)]
}

fn owner(folder: &Path, metadata: &Metadata) -> Check {
    let (shown, mode) = (folder.display(), metadata.mode() & 0o777);
    let own = rustix::process::geteuid().as_raw();
    if metadata.mode() & 0o022 != 0 {
        let message = format!("other users may write to {shown} (mode {mode:03o}): run chmod go-w {shown}");
        return Check::bad("data folder", message);
    }
    if metadata.uid() != own {
        let message = format!(
            "{shown} belongs to uid {}, but doctor runs as uid {own}: run doctor and the server as the same user",
            metadata.uid()
        );
        return Check::warn("data folder", message);
    }
    Check::ok("data folder", format!("{shown}, mode {mode:03o}"))
}

fn disk(folder: &Path) -> Check {
    let Ok(disk) = rustix::fs::statvfs(folder) else {
        return Check::warn("disk", "cannot determine the free space of the data folder's disk");
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let message = format!("{} MiB free", free >> 20);
    if free < FULL_DISK {
        Check::bad(
            "disk",
            format!("{message}: commands that write are killed; free some space"),
        )
    } else if free < TIGHT_DISK {
        Check::warn(
            "disk",
            format!("{message}: a single workspace can use all of it; free some space"),
        )
    } else {
        Check::ok("disk", message)
    }
}

/// Checks whether other users can read the database files. If they cannot enter the folder, the files' permissions do
/// not matter.
fn sqlite(config: &Config) -> Vec<Check> {
    let folder = absolute(&config.data_dir);
    let Ok(entries) = fs::read_dir(&folder) else {
        return Vec::new();
    };
    let is_closed = fs::metadata(&folder).is_ok_and(|folder| folder.mode() & 0o011 == 0);
    let open = entries.flatten().find(|entry| {
        let is_database = entry.file_name().to_string_lossy().starts_with("runyard.db");
        is_database && entry.metadata().is_ok_and(|file| file.mode() & 0o044 != 0)
    });
    vec![match open {
        Some(file) if !is_closed => Check::bad(
            "database",
            format!(
                "every user of this machine can read {0}: run chmod go-rwx {1}/runyard.db* and start the server with umask 077",
                file.path().display(),
                folder.display()
            ),
        ),
        _ => Check::ok("database", "SQLite, readable only by the server's user"),
    }]
}

fn open_files() -> Check {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    match limit.current {
        Some(files) if files < WANTED_FILES => Check::warn(
            "open files",
            format!(
                "the limit is {files}: raise it to {WANTED_FILES} (LimitNOFILE= in a systemd unit, ulimit -n in a shell)"
            ),
        ),
        _ => Check::ok("open files", "the limit is high enough"),
    }
}

fn sandbox(config: &Config) -> Vec<Check> {
    let sandboxes = match Sandboxes::detect(&config.sandbox, &config.data_dir) {
        Ok(sandboxes) => sandboxes,
        Err(error) => return vec![Check::bad("sandbox", error.message())],
    };
    let lines = sandboxes
        .describe()
        .into_iter()
        .map(|fact| match fact.strip_prefix("weak: ") {
            Some(weak) => Check::warn("sandbox", weak),
            None if fact.starts_with("commands cannot be run") => Check::bad("sandbox", fact),
            None => Check::ok("sandbox", fact),
        });
    lines.collect()
}
