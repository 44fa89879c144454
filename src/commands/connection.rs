//! Connects the commands `run`, `agents`, `tier` and `admin` to a server, and selects their credential.

use std::net::IpAddr;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::{settings::Settings, signer::Signer};
use runyard_client::Client;

use crate::{
    config::Config,
    error::{Code, Error, Result},
};

/// Role that may change the tier of an account.
const ADMINISTRATOR: &str = "super_admin";

/// Options that choose the server and the account.
#[derive(Args, Clone, Debug)]
pub(super) struct Connection {
    /// Server URL [default: the configured listen address, normally http://127.0.0.1:8080].
    #[arg(long, global = true, value_name = "URL", env = "RUNYARD_SERVER", hide_env = true)]
    server: Option<String>,
    /// Token or API key [default: a token for the local account, signed with the secret in the data folder].
    #[arg(long, global = true, env = "RUNYARD_TOKEN", hide_env = true, hide_env_values = true)]
    token: Option<SecretString>,
}

/// `advice` is printed if the server refuses the token.
struct Credential {
    token: SecretString,
    advice: String,
}

pub(super) struct Connected {
    pub(super) client: Client,
    advice: String,
}

impl Connection {
    /// Without a configured token, connects as the local account.
    pub(super) async fn open(&self, settings: &Settings) -> Result<Connected> {
        let config = settings.config()?;
        let credential = match self.explicit() {
            Some(explicit) => explicit,
            None => self.local(&config, None).await?,
        };
        self.connect(&config, credential).await
    }

    /// Connects as an administrator. Signs a token with the local server's secret if possible. Otherwise, uses the
    /// configured token.
    pub(super) async fn open_as_administrator(&self, settings: &Settings) -> Result<Connected> {
        let config = settings.config()?;
        let credential = match (self.local(&config, Some(ADMINISTRATOR)).await, self.explicit()) {
            (Ok(administrator), _) => administrator,
            (Err(_), Some(explicit)) => explicit,
            (Err(error), None) => return Err(error),
        };
        self.connect(&config, credential).await
    }

    fn explicit(&self) -> Option<Credential> {
        let token = self.token.as_ref().filter(|token| !token.expose_secret().is_empty())?;
        Some(Credential {
            token: token.clone(),
            advice:
                "the token in RUNYARD_TOKEN or --token is not valid for this server; print a new one with `runyard \
                     token` in the folder where you run the server"
                    .to_owned(),
        })
    }

    /// Signs a token for the local account. Fails if the server is on another machine. That machine could use the
    /// token at this machine's server.
    async fn local(&self, config: &Config, role: Option<&str>) -> Result<Credential> {
        let server = self.server(config);
        if server != local_server(config) && !is_on_this_machine(&server) {
            return Err(Error::new(
                Code::NotAuthenticated,
                format!(
                    "the server at {server} is not on this machine; set RUNYARD_TOKEN to a token or an API key of that server"
                ),
            ));
        }
        local(config, role).await
    }

    fn server(&self, config: &Config) -> String {
        let server = self.server.clone().filter(|server| !server.is_empty());
        server.unwrap_or_else(|| local_server(config))
    }

    async fn connect(&self, config: &Config, credential: Credential) -> Result<Connected> {
        Ok(Connected {
            client: Client::connect(&self.server(config), credential.token).await?,
            advice: credential.advice,
        })
    }
}

impl Connected {
    /// If the server refused the token, the error contains the advice for this token.
    pub(super) fn explain<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.map_err(|error| match error.code() {
            Code::NotAuthenticated => {
                let message = format!(
                    "the server at {} refused the token: {}",
                    self.client.server(),
                    self.advice
                );
                Error::new(Code::NotAuthenticated, message)
            }
            _ => error,
        })
    }
}

/// Adds advice to the error of a caller who is not an administrator.
pub(super) fn needs_administrator(error: Error) -> Error {
    if error.code() != Code::PermissionDenied {
        return error;
    }
    let message = format!(
        "{}: name the server's data folder with --data-dir, or set RUNYARD_TOKEN to a token with the role super_admin",
        error.message()
    );
    Error::new(Code::PermissionDenied, message)
}

fn is_on_this_machine(server: &str) -> bool {
    let Ok(url) = Url::parse(server) else { return false };
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn local_server(config: &Config) -> String {
    let mut address = config.listen;
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::from([127, 0, 0, 1]));
    }
    format!("http://{address}")
}

async fn local(config: &Config, role: Option<&str>) -> Result<Credential> {
    let signer = Signer::find(config)
        .await
        .map_err(|error| Error::new(error.code(), format!("{}, or set RUNYARD_TOKEN", error.message())))?;
    Ok(Credential {
        token: signer.sign_local(role)?,
        advice: format!(
            "it is signed with {}, but this server uses another secret; name the server's data folder with --data-dir, \
             or set RUNYARD_TOKEN",
            signer.source()
        ),
    })
}

impl From<runyard_client::Error> for Error {
    fn from(error: runyard_client::Error) -> Self {
        let mut converted = match error.field() {
            Some(field) => Self::invalid_field(field.to_owned(), error.message().to_owned()),
            None => Self::new(error.code(), error.message().to_owned()),
        };
        if let Some(details) = error.details() {
            converted = converted.with_details(details.clone());
        }
        if let Some(wait) = error.retry_after_hint() {
            converted = converted.retry_after(wait);
        }
        converted.caused_by(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_this_machine() {
        for server in [
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "https://localhost",
            "http://127.1:9",
        ] {
            assert!(is_on_this_machine(server), "{server}");
        }
        for server in [
            "https://runyard.example.com",
            "http://10.0.0.7:8080",
            "http://localhost.example.com",
            "http://127.0.0.1@example.com",
            "not a URL",
        ] {
            assert!(!is_on_this_machine(server), "{server}");
        }
    }
}
