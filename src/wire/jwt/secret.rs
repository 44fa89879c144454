//! The HS256 secret, from the configuration or from a file in the data folder. `server` creates the file if it is
//! missing. The commands that sign tokens only read it.

use std::{
    io::{self, ErrorKind},
    path::{self, Path},
};

use secrecy::{ExposeSecret, SecretString};

use crate::{
    config::Config,
    error::{Error, Result},
    secret_file,
};

const FILE: &str = "jwt.secret";
const MIN_BYTES: usize = 32;

/// Returns the configured secret, or `None` if only public keys are configured. If neither is configured, returns the
/// secret in the data folder, and creates it first if it is missing.
///
/// # Errors
/// INVALID_REQUEST if the secret is too short or its file cannot be used.
pub fn load_or_create(config: &Config) -> Result<Option<SecretString>> {
    match load(config)? {
        None if !config.auth.has_public_keys() => {
            let path = config.data_dir.join(FILE);
            secret_file::create(&config.data_dir, FILE).map_err(|error| unusable(&path, &error))?;
            load(config)
        }
        found => Ok(found),
    }
}

/// Like [`load_or_create`], but never creates a secret.
pub fn load(config: &Config) -> Result<Option<SecretString>> {
    if let Some(secret) = &config.auth.jwt_secret {
        check(secret)?;
        return Ok(Some(secret.clone()));
    }
    if config.auth.has_public_keys() {
        return Ok(None);
    }
    let path = config.data_dir.join(FILE);
    let text = match secret_file::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(&path, &error)),
    };
    let secret = SecretString::from(text.trim_end_matches('\n').to_owned());
    let length = secret.expose_secret().len();
    if length < MIN_BYTES {
        return Err(Error::invalid(format!(
            "the token secret in {} has {length} bytes and needs at least {MIN_BYTES}; delete the file to get a new secret, \
             or set RUNYARD_JWT_SECRET",
            path.display()
        )));
    }
    Ok(Some(secret))
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    let path = path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => "; run this command as the server's user",
        _ => "",
    };
    Error::invalid(format!(
        "the token secret {} cannot be used: {error}{advice}",
        path.display()
    ))
}

pub(super) fn check(secret: &SecretString) -> Result<()> {
    let length = secret.expose_secret().len();
    if length < MIN_BYTES {
        return Err(Error::invalid(format!(
            "the token secret has {length} bytes and needs at least {MIN_BYTES}: set RUNYARD_JWT_SECRET to the output of \
             `openssl rand -hex 32`"
        )));
    }
    Ok(())
}
