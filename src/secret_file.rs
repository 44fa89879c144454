//! Files in the data folder that contain a generated secret.
//!
//! One file contains the secret that signs tokens (`wire/jwt/secret`), another the key that encrypts stored secrets
//! (`secrets`). If several servers start at the same time, all of them use the secret of the server that created the
//! file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use crate::{data_folder, id};

const MAX_FILE_BYTES: u64 = 4096;

/// Reads a secret. Fails if other users can read the file.
pub fn read(path: &Path) -> io::Result<String> {
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

/// Creates the file with a random secret of 32 bytes, in hexadecimal. An existing file is kept.
///
/// The secret is written to a temporary file. A hard link then gives this file its final name. Creating the link
/// fails if another server has already created a file with that name.
pub fn create(folder: &Path, name: &str) -> io::Result<()> {
    data_folder::prepare(folder)?;
    let draft = folder.join(format!("{name}.{}", id::new().simple()));
    let written =
        write(&draft, &hex(&id::random_bytes::<32>())).and_then(|()| match fs::hard_link(&draft, folder.join(name)) {
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
