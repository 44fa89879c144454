//! Reads the environment variables of the configuration. An empty variable counts as unset. Other modules read
//! variables only through [`variable`] or clap.

use std::{fs, io::ErrorKind, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Config, models::DEFAULT_PROVIDER, place::File};
use crate::error::{Error, Result};

pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The only variable whose value is a number.
const DATABASE_CONNECTIONS: &str = "RUNYARD_DATABASE_CONNECTIONS";

/// The key of the search provider.
const SEARCH_KEY: &str = "RUNYARD_SEARCH_API_KEY";

/// Variables that set a single key: the variable, the path of the key's table, and the key.
const KEYS: &[(&str, &[&str], &str)] = &[
    ("RUNYARD_LISTEN", &[], "listen"),
    ("RUNYARD_DATA_DIR", &[], "data_dir"),
    ("RUNYARD_DATABASE_URL", &[], "database_url"),
    (DATABASE_CONNECTIONS, &[], "database_connections"),
    ("RUNYARD_LIMITS", &[], "limits"),
    ("RUNYARD_SECRETS_KEY", &[], "secrets_key"),
    ("RUNYARD_JWT_SECRET", &["auth"], "jwt_secret"),
    ("RUNYARD_JWKS_FILE", &["auth"], "jwks_file"),
    ("RUNYARD_JWKS_URL", &["auth"], "jwks_url"),
    ("RUNYARD_ISSUER_URL", &["auth"], "issuer_url"),
    ("RUNYARD_JWT_ISSUER", &["auth"], "issuer"),
    ("RUNYARD_JWT_AUDIENCE", &["auth"], "audience"),
    ("RUNYARD_METRICS_TOKEN", &["auth"], "metrics_token"),
    ("RUNYARD_CONSOLE_DIR", &["http"], "console_dir"),
    ("RUNYARD_ACCESS_LOG", &["log"], "access"),
    (SEARCH_KEY, &["web", "search"], "api_key"),
    ("RUNYARD_BWRAP", &["sandbox"], "bwrap"),
    ("RUNYARD_SANDBOX_ROOTFS", &["sandbox"], "rootfs"),
];

/// Variables for the provider `default`, each with the key that it sets.
const PROVIDER_KEYS: &[(&str, &str)] = &[
    ("RUNYARD_OPENAI_BASE_URL", "base_url"),
    ("RUNYARD_OPENAI_API_KEY", "api_key"),
    ("RUNYARD_OPENAI_MODEL", "model"),
];

/// `None` if the variable is unset, empty or invalid UTF-8.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns each variable that sets a single key, with the key's path in the configuration file.
pub fn keys() -> impl Iterator<Item = (&'static str, String)> {
    KEYS.iter()
        .map(|(variable, path, key)| (*variable, [*path, &[*key]].concat().join(".")))
}

impl Config {
    /// # Errors
    /// INVALID_REQUEST; the message names the file or the variable, and the problem.
    pub fn load(file: Option<&Path>, lookup: Lookup<'_>) -> Result<Self> {
        let text = match file {
            Some(path) => fs::read_to_string(path).map_err(|error| unreadable(path, &error))?,
            None => String::new(),
        };
        let name = file.map_or_else(|| "the environment".into(), |path| path.display().to_string());
        let file = File::parse(&name, &text)?;
        let values: Vec<_> = KEYS.iter().filter_map(|key| Some((key, lookup(key.0)?))).collect();
        let mut table = file.table().clone();
        for ((variable, path, key), value) in &values {
            check(variable, value)?;
            if *variable == SEARCH_KEY {
                check_search(&table)?;
            }
            let value = match number(variable, value) {
                Some(number) => number,
                None => DeValue::String(value.into()),
            };
            set(&mut table, path, key, value);
        }
        lay_provider(&mut table, lookup)?;
        Self::read(&file, table)
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let path = path.display();
    if error.kind() == ErrorKind::NotFound {
        return Error::invalid(format!(
            "there is no configuration file {path}; omit --config to use the defaults"
        ));
    }
    Error::invalid(format!("the configuration file {path} cannot be read: {error}"))
}

/// Checks a value before it is merged with the file, so that the error names the variable.
fn check(variable: &str, value: &str) -> Result<()> {
    let (fits, expected) = match variable {
        "RUNYARD_LISTEN" => (
            value.parse::<std::net::SocketAddr>().is_ok(),
            "an address such as 127.0.0.1:8080",
        ),
        DATABASE_CONNECTIONS => (number(variable, value).is_some(), "a number such as 16"),
        "RUNYARD_ACCESS_LOG" => (matches!(value, "all" | "refused" | "off"), "all, refused or off"),
        "RUNYARD_LIMITS" => (matches!(value, "on" | "off"), "on or off"),
        "RUNYARD_DATABASE_URL" => (
            value.starts_with("postgres://") || value.starts_with("postgresql://"),
            "a PostgreSQL URL such as postgres://user:password@localhost/runyard; unset it to use SQLite",
        ),
        _ => return Ok(()),
    };
    if fits {
        Ok(())
    } else {
        // A mistyped URL may contain a password, so the error omits the value.
        Err(Error::invalid(format!("{variable} must be {expected}")))
    }
}

/// Checks that the file configures a search provider, to which the key of the environment belongs.
fn check_search(table: &DeTable<'_>) -> Result<()> {
    let web = table.get("web").map(Spanned::get_ref);
    if web.and_then(|web| web.get("search")).is_some() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{SEARCH_KEY} alone configures no search: also set web.search.provider in the configuration file"
    )))
}

fn number<'v>(variable: &str, value: &'v str) -> Option<DeValue<'v>> {
    let is_number = variable == DATABASE_CONNECTIONS && value.parse::<u32>().is_ok();
    let value = is_number.then(|| DeValue::parse(value).ok())??;
    Some(value.into_inner())
}

fn lay_provider(table: &mut DeTable<'_>, lookup: Lookup<'_>) -> Result<()> {
    let variables: Vec<_> = PROVIDER_KEYS
        .iter()
        .filter_map(|(name, key)| Some((*key, lookup(name)?)))
        .collect();
    if variables.is_empty() {
        return Ok(());
    }
    let path = ["providers", DEFAULT_PROVIDER];
    let configured = table
        .get("providers")
        .and_then(|providers| providers.get_ref().get(DEFAULT_PROVIDER))
        .is_some();
    if !configured {
        if variables.iter().all(|(key, _)| *key == "model") {
            return Err(Error::invalid(
                "RUNYARD_OPENAI_MODEL alone configures no provider: also set RUNYARD_OPENAI_BASE_URL or RUNYARD_OPENAI_API_KEY",
            ));
        }
        set(table, &path, "kind", DeValue::String("openai".into()));
    }
    for (key, value) in variables {
        set(table, &path, key, DeValue::String(value.into()));
    }
    Ok(())
}

fn set<'v>(table: &mut DeTable<'v>, path: &[&str], key: &str, value: DeValue<'v>) {
    // A value from the environment has no position in the file.
    let nowhere = |value| Spanned::new(0..0, value);
    let Some((first, rest)) = path.split_first() else {
        table.insert(Spanned::new(0..0, key.to_owned().into()), nowhere(value));
        return;
    };
    let entry = table
        .entry(Spanned::new(0..0, (*first).to_owned().into()))
        .or_insert_with(|| nowhere(DeValue::Table(DeTable::new())));
    // If the file has a value other than a table here, `Config::read` reports the error.
    if let DeValue::Table(inner) = entry.get_mut() {
        set(inner, rest, key, value);
    }
}
