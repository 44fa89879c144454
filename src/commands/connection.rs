//! How `run` and `agents` reach a server, and as whom.

use std::{net::IpAddr, time::Duration};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::settings::Settings;
use crate::{
    client::Client,
    clock::Clock,
    config::Config,
    error::{Error, Result},
    wire::jwt::{self, Grant},
};

/// The caller of commands that bring no token: whoever can read the server's secret.
const LOCAL_SUBJECT: &str = "00000000-0000-4000-8000-000000000001";

/// Longer than a run may take.
const LOCAL_TOKEN_LIFETIME: Duration = Duration::from_hours(4);

/// Which server, and as whom.
#[derive(Args, Debug)]
pub(super) struct Connection {
    /// The server, http://127.0.0.1:8080 by default.
    #[arg(long, global = true, value_name = "URL", env = "RUNYARD_SERVER", hide_env = true)]
    server: Option<String>,
    /// The token; without one, one is made with the secret of the data folder.
    #[arg(long, global = true, env = "RUNYARD_TOKEN", hide_env = true, hide_env_values = true)]
    token: Option<SecretString>,
}

impl Connection {
    /// Connects.
    pub(super) async fn open(&self, settings: &Settings) -> Result<Client> {
        let config = settings.config()?;
        let server = self
            .server
            .clone()
            .filter(|server| !server.is_empty())
            .unwrap_or_else(|| local_server(&config));
        let token = match &self.token {
            Some(token) if !token.expose_secret().is_empty() => token.clone(),
            _ => local_token(&config)?,
        };
        Client::connect(&server, token).await
    }
}

/// The server that this configuration would start.
fn local_server(config: &Config) -> String {
    let mut address = config.listen;
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::from([127, 0, 0, 1]));
    }
    format!("http://{address}")
}

fn local_token(config: &Config) -> Result<SecretString> {
    let secret = jwt::load_secret(config)?.ok_or_else(|| {
        Error::invalid(format!(
            "there is no token: set RUNYARD_TOKEN, or name the server's data folder with --data-dir (there is no secret in {})",
            config.data_dir.display()
        ))
    })?;
    let grant = Grant {
        subject: LOCAL_SUBJECT.to_owned(),
        role: None,
        lifetime: LOCAL_TOKEN_LIFETIME,
    };
    jwt::mint(&config.auth, &secret, &grant, Clock::default().now()).map(SecretString::from)
}
