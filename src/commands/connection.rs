//! How `run`, `agents` and `tier` reach a server, and as which account.

use std::net::IpAddr;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::{settings::Settings, signer::Signer};
use crate::{
    client::Client,
    config::Config,
    error::{Code, Error, Result},
};

/// The role that may change the tier of an account.
const ADMINISTRATOR: &str = "super_admin";

/// Which server, and as which account.
#[derive(Args, Clone, Debug)]
pub(super) struct Connection {
    /// The server [default: the one that this configuration starts, http://127.0.0.1:8080].
    #[arg(long, global = true, value_name = "URL", env = "RUNYARD_SERVER", hide_env = true)]
    server: Option<String>,
    /// The token or API key [default: a token for the local account, signed with the secret in the data folder].
    #[arg(long, global = true, env = "RUNYARD_TOKEN", hide_env = true, hide_env_values = true)]
    token: Option<SecretString>,
}

/// A token, and what to do if the server refuses it.
struct Credential {
    token: SecretString,
    advice: String,
}

/// A client, and what to do if the server refuses its token.
pub(super) struct Connected {
    /// The client.
    pub(super) client: Client,
    advice: String,
}

impl Connection {
    /// Connects as the account of the given token, or as the local account.
    pub(super) async fn open(&self, settings: &Settings) -> Result<Connected> {
        let config = settings.config()?;
        let credential = match self.given() {
            Some(given) => given,
            None => local(&config, None).await?,
        };
        self.connect(&config, credential).await
    }

    /// Connects as an administrator of the server whose data folder is here; elsewhere the given token has to be one.
    pub(super) async fn open_as_administrator(&self, settings: &Settings) -> Result<Connected> {
        let config = settings.config()?;
        let credential = match (local(&config, Some(ADMINISTRATOR)).await, self.given()) {
            (Ok(administrator), _) => administrator,
            (Err(_), Some(given)) => given,
            (Err(error), None) => return Err(error),
        };
        self.connect(&config, credential).await
    }

    fn given(&self) -> Option<Credential> {
        let token = self.token.as_ref().filter(|token| !token.expose_secret().is_empty())?;
        Some(Credential {
            token: token.clone(),
            advice: "the one in RUNYARD_TOKEN or --token is not valid there; print a new one with `runyard token` in the folder \
                     where you run the server"
                .to_owned(),
        })
    }

    async fn connect(&self, config: &Config, credential: Credential) -> Result<Connected> {
        let server = self.server.clone().filter(|server| !server.is_empty());
        let server = server.unwrap_or_else(|| local_server(config));
        Ok(Connected {
            client: Client::connect(&server, credential.token).await?,
            advice: credential.advice,
        })
    }
}

impl Connected {
    /// The outcome of calls; a refused token is explained by where it came from.
    pub(super) fn explain<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.map_err(|error| match error.code() {
            Code::NotAuthenticated => {
                let message = format!(
                    "the server at {} refuses the token: {}",
                    self.client.server(),
                    self.advice
                );
                Error::new(Code::NotAuthenticated, message)
            }
            _ => error,
        })
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

/// A token for the local account.
async fn local(config: &Config, role: Option<&str>) -> Result<Credential> {
    let signer = Signer::find(config)
        .await
        .map_err(|error| Error::new(error.code(), format!("{}, or set RUNYARD_TOKEN", error.message())))?;
    Ok(Credential {
        token: signer.sign_local(role)?,
        advice: format!(
            "it is signed with {}, and this server has another secret; name the server's data folder with --data-dir, or set \
             RUNYARD_TOKEN",
            signer.source()
        ),
    })
}
