//! What every command may be told: where the configuration is. Options go before variables, variables before the file.

use std::{
    net::SocketAddr,
    path::{self, Path, PathBuf},
};

use clap::Args;

use crate::{
    config::{Config, environment::variable},
    error::Result,
};

/// Printed below the help.
pub(super) const VARIABLES: &str = "\
Environment:
  RUNYARD_CONFIG            the configuration file (TOML)
  RUNYARD_LISTEN            the address of the server [default: 127.0.0.1:8080]
  RUNYARD_DATA_DIR          the folder where the server keeps its data [default: data]
  RUNYARD_DATABASE_URL      a PostgreSQL URL, instead of SQLite in the data folder
  RUNYARD_LIMITS            on or off: whether the limits of plans apply [default: on]
  RUNYARD_JWT_SECRET        the secret of HS256 tokens, at least 32 bytes [default: one in the data folder]
  RUNYARD_JWKS_FILE         public keys for RS256, ES256 and EdDSA tokens
  RUNYARD_OPENAI_BASE_URL   an OpenAI-compatible server for all models
  RUNYARD_OPENAI_API_KEY    the key for that server
  RUNYARD_OPENAI_MODEL      the model on that server
  RUNYARD_SERVER            the server for `run`, `agents` and `tier` [default: RUNYARD_LISTEN]
  RUNYARD_TOKEN             the token for that server [default: one for the local account]
  RUNYARD_LOG               what to log, such as info or runyard=debug";

/// Options of every command.
#[derive(Args, Debug)]
pub(super) struct Settings {
    /// The configuration file (TOML).
    #[arg(long, global = true, value_name = "FILE", env = "RUNYARD_CONFIG", hide_env = true)]
    config: Option<PathBuf>,
    /// The folder where the server keeps its data [default: data].
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Settings {
    /// The configuration as this command sees it.
    pub(super) fn config(&self) -> Result<Config> {
        self.config_listening(None)
    }

    /// The same, with an address from the command line.
    pub(super) fn config_listening(&self, listen: Option<SocketAddr>) -> Result<Config> {
        let lookup = |name: &str| match (name, &self.data_dir, listen) {
            ("RUNYARD_DATA_DIR", Some(folder), _) => Some(folder.to_string_lossy().into_owned()),
            ("RUNYARD_LISTEN", _, Some(listen)) => Some(listen.to_string()),
            _ => variable(name),
        };
        let file = self.config.as_deref().filter(|path| !path.as_os_str().is_empty());
        Config::load(file, &lookup)
    }

    /// `RUNYARD_LOG`, or what the command logs by itself.
    #[expect(
        clippy::unused_self,
        reason = "the settings are where a command asks for what it was told"
    )]
    pub(super) fn log_filter(&self, default: &str) -> String {
        variable("RUNYARD_LOG").unwrap_or_else(|| default.to_owned())
    }
}

/// A path that says the same in every folder.
pub(super) fn absolute(path: &Path) -> PathBuf {
    path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
