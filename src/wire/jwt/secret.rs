//! The HS256 secret. It is read from the configuration or from a file in the data folder.
//!
//! `server` creates the file at start if it is missing. The commands that sign tokens only read the file. If several
//! servers start at the same time, one server creates the file, and the other servers use its secret.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{self, Path},
};

use secrecy::{ExposeSecret, SecretString};

use crate::{
    config::Config,
    data_folder,
    error::{Error, Result},
    id,
};

const FILE: &str = "jwt.secret";
const MIN_BYTES: usize = 32;
const MAX_FILE_BYTES: u64 = 4096;

/// Returns the secret from the configuration. If the configuration has public keys but no secret, returns `None`. If it
/// has neither, returns the secret in the data folder, and creates that secret first if it is missing.
///
/// # Errors
/// INVALID_REQUEST, with advice, if the secret is too short or its file cannot be used.
pub fn load_or_create(config: &Config) -> Result<Option<SecretString>> {
    match load(config)? {
        None if !config.auth.has_public_keys() => {
            let path = config.data_dir.join(FILE);
            create(&config.data_dir, &path).map_err(|error| unusable(&path, &error))?;
            load(config)
        }
        found => Ok(found),
    }
}

/// Like [`load_or_create`], but returns `None` instead of creating a secret.
///
/// # Errors
/// The same errors as [`load_or_create`].
pub fn load(config: &Config) -> Result<Option<SecretString>> {
    if let Some(secret) = &config.auth.jwt_secret {
        check(secret)?;
        return Ok(Some(secret.clone()));
    }
    if config.auth.has_public_keys() {
        return Ok(None);
    }
    let path = config.data_dir.join(FILE);
    let text = match read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(&path, &error)),
    };
    let secret = SecretString::from(text.trim_end_matches('\n').to_owned());
    check(&secret).map_err(|error| {
        Error::invalid(format!(
            "{}: {}; delete the file to get a new one",
            path.display(),
            error.message()
        ))
    })?;
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

fn read(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    let mode = file.metadata()?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(io::Error::other(format!(
            "other users can read it (mode {mode:03o}); run chmod 600 on it"
        )));
    }
    let mut text = String::new();
    file.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Writes a new secret to a temporary file, and then creates a hard link with the final name. If the final name already
/// exists, another server has created the file, and its secret is kept.
fn create(folder: &Path, path: &Path) -> io::Result<()> {
    data_folder::prepare(folder)?;
    let draft = folder.join(format!("{FILE}.{}", id::new().simple()));
    let written = write(&draft, &hex(&id::random_bytes::<32>())).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => File::open(folder)?.sync_all(),
    });
    let removed = fs::remove_file(&draft);
    written.and(removed)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
