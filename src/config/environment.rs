//! Reads the environment variables of the configuration. An empty variable counts as unset. Other modules read
//! variables only through [`variable`] or clap.

use std::{fs, io::ErrorKind, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Config, MAX_DATABASE_CONNECTIONS, models::DEFAULT_PROVIDER, nearest::nearest, place::File};
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
    ("RUNYARD_SIGN_IN_CLIENT_ID", &["auth", "sign_in"], "client_id"),
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

/// Variables that belong to no key of the configuration file.
const OTHERS: [&str; 4] = ["RUNYARD_CONFIG", "RUNYARD_LOG", "RUNYARD_SERVER", "RUNYARD_TOKEN"];

/// Beginning of the names of all variables.
const PREFIX: &str = "RUNYARD_";

/// `None` if the variable is unset, empty or invalid UTF-8.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns each variable that sets a single key, with the key's path in the configuration file.
pub fn keys() -> impl Iterator<Item = (&'static str, String)> {
    KEYS.iter()
        .map(|(variable, path, key)| (*variable, [*path, &[*key]].concat().join(".")))
}

/// Returns one sentence for each variable that has no effect, because its name is unknown or its value is not text.
pub fn warnings() -> Vec<String> {
    let ours = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let ours = ours.filter(|(name, _)| name.starts_with(PREFIX));
    let mut sentences: Vec<String> = ours
        .filter_map(|(name, value)| warning(&name, value.to_str()))
        .collect();
    sentences.sort();
    sentences
}

/// `value` is `None` if the value is not valid UTF-8.
fn warning(name: &str, value: Option<&str>) -> Option<String> {
    let keys = KEYS.iter().map(|(variable, ..)| *variable);
    let known = || {
        keys.clone()
            .chain(PROVIDER_KEYS.iter().map(|(variable, _)| *variable))
            .chain(OTHERS)
    };
    if known().any(|known| known == name) {
        return value
            .is_none()
            .then(|| format!("the variable {name} has no effect, because its value is not valid UTF-8"));
    }
    if is_service_link(name) {
        return None;
    }
    let after = |name: &'static str| name.strip_prefix(PREFIX).unwrap_or(name);
    let advice = match nearest(name.strip_prefix(PREFIX)?, known().map(after)) {
        Some(meant) => format!("did you mean {PREFIX}{meant}?"),
        None => "docs/configuration.md lists all variables".to_owned(),
    };
    Some(format!(
        "the variable {name} has no effect, because runyard does not know it; {advice}"
    ))
}

/// Kubernetes sets such variables in the containers of a namespace with a service named `runyard` or `runyard-…`.
fn is_service_link(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name.contains("_PORT_")
}

/// Adds the variable that set the wrong value to an error that names only the key or the value.
pub fn name_variable(error: Error, lookup: Lookup<'_>) -> Error {
    let keys = keys().chain(
        PROVIDER_KEYS
            .iter()
            .map(|(variable, key)| (*variable, provider_key(key))),
    );
    let message = error.message();
    let culprit = keys.into_iter().find_map(|(variable, key)| {
        let value = lookup(variable)?;
        let is_named = message.contains(variable);
        let has_key = key.contains('.') && message.contains(&key);
        // Short values, such as `on`, occur in any sentence.
        let has_value = value.len() > 3 && message.contains(&value);
        (!is_named && (has_key || has_value)).then_some(variable)
    });
    match culprit {
        Some(variable) => {
            let message = format!("{message} (set by {variable})");
            error.saying(message)
        }
        None => error,
    }
}

fn provider_key(key: &str) -> String {
    format!("providers.{DEFAULT_PROVIDER}.{key}")
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
            "an IP address and a port, such as 127.0.0.1:8080",
        ),
        DATABASE_CONNECTIONS => {
            let number = value.parse::<u32>();
            let fits = number.is_ok_and(|number| (1..=MAX_DATABASE_CONNECTIONS).contains(&number));
            (fits, "a number from 1 to 10000, such as 16")
        }
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
    for (key, value) in &variables {
        check_provider(key, value)?;
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

/// Checks a value of the provider `default`, so that the error names the variable. A secret may be in any of them, so the
/// error omits the value.
fn check_provider(key: &str, value: &str) -> Result<()> {
    let variable = PROVIDER_KEYS
        .iter()
        .find(|(_, of)| *of == key)
        .map_or(key, |(variable, _)| *variable);
    if value.contains(|letter: char| letter.is_control()) {
        return Err(Error::invalid(format!(
            "{variable} contains a line break or another control character; remove it"
        )));
    }
    if key == "base_url" && !value.starts_with("http://") && !value.starts_with("https://") {
        return Err(Error::invalid(format!(
            "{variable} must be a URL such as http://127.0.0.1:11434/v1/"
        )));
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    #[test]
    fn only_variables_without_effect_get_a_warning() {
        for name in [
            "RUNYARD_LISTEN",
            "RUNYARD_LOG",
            "RUNYARD_OPENAI_MODEL",
            "RUNYARD_SERVICE_HOST",
            "RUNYARD_PORT_80_TCP",
        ] {
            assert_eq!(warning(name, Some("x")), None, "{name}");
        }
        assert!(
            warning("RUNYARD_LISTN", Some("x"))
                .unwrap()
                .contains("did you mean RUNYARD_LISTEN?")
        );
        assert!(
            warning("RUNYARD_SOMETHING_ELSE", Some("x"))
                .unwrap()
                .contains("docs/configuration.md")
        );
        assert!(warning("RUNYARD_LISTEN", None).unwrap().contains("UTF-8"));
    }

    #[test]
    fn an_error_about_a_key_names_the_variable_that_set_it() {
        let lookup = |name: &str| (name == "RUNYARD_ISSUER_URL").then(|| "nowhere".to_owned());
        let named = name_variable(Error::invalid("auth.issuer_url is not a URL"), &lookup);
        assert_eq!(
            named.message(),
            "auth.issuer_url is not a URL (set by RUNYARD_ISSUER_URL)"
        );
        let named = name_variable(Error::invalid("nowhere is not a URL"), &lookup);
        assert!(named.message().ends_with("(set by RUNYARD_ISSUER_URL)"));
        let other = name_variable(Error::invalid("auth.jwks_url is not a URL"), &lookup);
        assert_eq!(other.message(), "auth.jwks_url is not a URL");
    }
}
