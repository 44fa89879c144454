//! Signs tokens with the secret of the server on this machine.
//!
//! The signer never creates a secret, because no server would accept a token signed with a new secret.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;
use tokio::time::sleep;

use super::{output::one_line, settings::absolute};
use crate::{
    clock::Clock,
    config::{Auth, Config},
    db,
    error::{Error, Result},
    wire::jwt::{self, Grant},
};

/// The account that the commands use by default.
pub(super) const LOCAL_SUBJECT: &str = "00000000-0000-4000-8000-000000000001";
/// Lifetime of a token for one command. With the default limits, a run ends before its command's token expires.
const LOCAL_TOKEN_LIFETIME: Duration = Duration::from_hours(4);

/// Names a caller in output: its subject, or "the local account".
pub(super) fn caller_name(subject: &str) -> String {
    if subject == LOCAL_SUBJECT {
        "the local account".to_owned()
    } else {
        one_line(subject)
    }
}
/// Maximum number of attempts to read the secret.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

pub(super) struct Signer {
    auth: Auth,
    secret: SecretString,
    source: Source,
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    Configuration,
    /// As an absolute path.
    DataFolder(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration => f.write_str("the configured secret (auth.jwt_secret or RUNYARD_JWT_SECRET)"),
            Self::DataFolder(folder) => write!(f, "the secret in {}", folder.display()),
        }
    }
}

impl Signer {
    /// Finds the server's secret in the configuration or the data folder. A server that is starting may not have
    /// written its secret yet. While the data folder contains no server data, this method retries for up to a second.
    pub(super) async fn find(config: &Config) -> Result<Self> {
        let folder = absolute(&config.data_dir);
        let mut attempt = 1;
        loop {
            if let Some(secret) = jwt::load_secret(config)? {
                let source = match config.auth.jwt_secret {
                    Some(_) => Source::Configuration,
                    None => Source::DataFolder(folder),
                };
                return Ok(Self {
                    auth: config.auth.clone(),
                    secret,
                    source,
                });
            }
            let may_come =
                attempt < ATTEMPTS && folder.is_dir() && !db::is_data_folder(&folder) && !config.auth.has_public_keys();
            if !may_come {
                return Err(Error::invalid(advice(config, &folder)));
            }
            sleep(PAUSE).await;
            attempt += 1;
        }
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn sign_local(&self, role: Option<&str>) -> Result<SecretString> {
        let grant = Grant {
            subject: LOCAL_SUBJECT.to_owned(),
            role: role.map(str::to_owned),
            lifetime: LOCAL_TOKEN_LIFETIME,
        };
        self.sign(&grant).map(SecretString::from)
    }

    /// Fails with INVALID_REQUEST if the lifetime is too long.
    pub(super) fn sign(&self, grant: &Grant) -> Result<String> {
        jwt::mint(&self.auth, &self.secret, grant, Clock::default().now())
    }
}

fn advice(config: &Config, folder: &Path) -> String {
    let shown = folder.display();
    if config.auth.has_public_keys() {
        "the configuration uses the public keys of an issuer, so only this issuer can sign tokens; ask the issuer for a token"
            .to_owned()
    } else if db::is_data_folder(folder) {
        format!("{shown} contains no secret; set RUNYARD_JWT_SECRET to the secret that the server was started with")
    } else {
        format!(
            "there is no server data in {shown}; start a server with `runyard serve`, or name the server's data folder \
             with --data-dir or RUNYARD_DATA_DIR"
        )
    }
}
