//! What every command may be told: where the configuration is. Options go before variables, variables before the file.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use crate::{
    config::{Config, environment::variable},
    error::Result,
};

/// Printed below the help.
pub(super) const VARIABLES: &str = "\
Environment:
  RUNYARD_CONFIG            the configuration file (TOML)
  RUNYARD_LISTEN            the address of the server, 127.0.0.1:8080
  RUNYARD_DATA_DIR          where the server keeps everything, data
  RUNYARD_DATABASE_URL      a PostgreSQL URL, instead of SQLite in the data folder
  RUNYARD_LIMITS            on or off: whether tiers and credits are enforced
  RUNYARD_JWT_SECRET        the HS256 secret, at least 32 bytes; made in the data folder when absent
  RUNYARD_JWKS_FILE         public keys for RS256, ES256 and EdDSA tokens
  RUNYARD_OPENAI_BASE_URL   an OpenAI-compatible server for all models, with
  RUNYARD_OPENAI_API_KEY    its key and
  RUNYARD_OPENAI_MODEL      its model
  RUNYARD_SERVER            the server that `run` and `agents` talk to
  RUNYARD_TOKEN             the token they bring
  RUNYARD_LOG               what to log, such as info or runyard=debug";

/// Options of every command.
#[derive(Args, Debug)]
pub(super) struct Settings {
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", env = "RUNYARD_CONFIG", hide_env = true)]
    config: Option<PathBuf>,
    /// The data folder, `data` by default.
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
