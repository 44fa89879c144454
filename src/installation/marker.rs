//! The id of a data folder. A file inside the folder contains it, so that a copied or restored folder keeps its id.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use uuid::Uuid;

use crate::id;

const FILE: &str = "folder.id";

/// Returns `None` if the folder has no readable id.
pub(super) fn load(folder: &Path) -> Option<Uuid> {
    fs::read_to_string(folder.join(FILE)).ok()?.trim().parse().ok()
}

/// Reads the id, or creates one. Processes that start at the same time all get the same id.
pub(super) fn load_or_create(folder: &Path) -> io::Result<Uuid> {
    let path = folder.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let id = text.trim().parse();
            id.map_err(|_| {
                io::Error::other(format!(
                    "{} does not contain the id of a data folder; restore it from a backup",
                    path.display()
                ))
            })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            create(folder, &path)?;
            load_or_create(folder)
        }
        Err(error) => Err(error),
    }
}

/// Writes a new id to a temporary file and links the file to its final name. Linking fails if the name exists, so the
/// id of the first process wins.
fn create(folder: &Path, path: &Path) -> io::Result<()> {
    let draft = folder.join(format!("{FILE}.{}", id::new().simple()));
    let written = write(&draft).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => File::open(folder)?.sync_all(),
    });
    let removed = fs::remove_file(&draft);
    written.and(removed)
}

fn write(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(format!("{}\n", id::new()).as_bytes())?;
    file.sync_all()
}

/// Host name for log and error texts; `None` if it is unknown.
pub(super) fn host() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
