//! Options of all commands. Options override environment variables, and environment variables override the
//! configuration file.

use std::{
    net::SocketAddr,
    path::{self, Path, PathBuf},
};

use clap::Args;

use crate::{
    config::{
        Config,
        environment::{self, variable},
    },
    error::{Error, Result},
};

/// Printed below the help text.
pub(super) const VARIABLES: &str = "\
Environment:
  RUNYARD_CONFIG            configuration file (TOML)
  RUNYARD_LISTEN            address to listen on [default: 127.0.0.1:8080]
  RUNYARD_DATA_DIR          folder for the server's data [default: data]
  RUNYARD_DATABASE_URL      PostgreSQL URL [default: SQLite in the data folder]
  RUNYARD_LIMITS            on or off: whether plan limits apply [default: on]
  RUNYARD_JWT_SECRET        secret for HS256 tokens, at least 32 bytes [default: generated in the data folder]
  RUNYARD_JWKS_FILE         public keys for RS256, ES256 and EdDSA tokens
  RUNYARD_OPENAI_BASE_URL   OpenAI-compatible server for all models
  RUNYARD_OPENAI_API_KEY    API key for that server
  RUNYARD_OPENAI_MODEL      model on that server
  RUNYARD_SERVER            server for `run`, `agents` and `tier` [default: RUNYARD_LISTEN]
  RUNYARD_TOKEN             token for that server [default: one for the local account]
  RUNYARD_LOG               log filter, such as info or runyard=debug
  all variables: docs/configuration.md";

/// Options common to all commands.
#[derive(Args, Debug)]
pub(super) struct Settings {
    /// Configuration file (TOML).
    #[arg(long, global = true, value_name = "FILE", env = "RUNYARD_CONFIG", hide_env = true)]
    config: Option<PathBuf>,
    /// Folder for the server's data [default: data].
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Log filter, such as debug or info,runyard::wire=debug [default: info for serve and migrate].
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
}

impl Settings {
    pub(super) fn config(&self) -> Result<Config> {
        self.config_listening(None)
    }

    /// Describes where the configuration comes from.
    pub(super) fn source(&self) -> String {
        match self.config.as_deref().filter(|path| !path.as_os_str().is_empty()) {
            Some(path) => format!("{} is readable", path.display()),
            None => "no file (--config or RUNYARD_CONFIG), so the defaults and the environment apply".to_owned(),
        }
    }

    /// `listen` overrides the configured listen address.
    pub(super) fn config_listening(&self, listen: Option<SocketAddr>) -> Result<Config> {
        let file = self.config.as_deref().filter(|path| !path.as_os_str().is_empty());
        self.with_lookup(listen, |lookup| {
            Config::load(file, lookup).map_err(|error| environment::name_variable(error, lookup))
        })
    }

    /// Adds the variable that set a wrong value to an error of the server's start.
    pub(super) fn name_variable(&self, error: Error) -> Error {
        self.with_lookup(None, |lookup| environment::name_variable(error, lookup))
    }

    fn with_lookup<T>(&self, listen: Option<SocketAddr>, use_it: impl FnOnce(environment::Lookup<'_>) -> T) -> T {
        use_it(&|name: &str| match (name, &self.data_dir, listen) {
            ("RUNYARD_DATA_DIR", Some(folder), _) => Some(folder.to_string_lossy().into_owned()),
            ("RUNYARD_LISTEN", _, Some(listen)) => Some(listen.to_string()),
            _ => variable(name),
        })
    }

    /// Logs each environment variable that has no effect.
    pub(super) fn warn_of_variables() {
        for sentence in environment::warnings() {
            tracing::warn!("{sentence}");
        }
    }

    pub(super) fn log_filter(&self, default: &str) -> String {
        let chosen = self.log.clone().or_else(|| variable("RUNYARD_LOG"));
        chosen.unwrap_or_else(|| default.to_owned())
    }
}

/// Symbolic links are not resolved.
pub(super) fn absolute(path: &Path) -> PathBuf {
    path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
