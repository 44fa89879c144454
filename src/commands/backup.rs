//! `runyard backup` and `runyard restore`: copy an installation to a folder, and back.
//!
//! A backup folder contains `runyard.db` (SQLite) or `runyard.dump` (PostgreSQL, made by `pg_dump`), and `files.tar.gz`
//! with the other content of the data folder. docs/operations.md lists shell commands that make the same backup. The
//! database is copied first, so the files are never older than the rows that refer to them.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    Outcome,
    output::{Output, remark, size},
    settings::{Settings, absolute},
};
use crate::{
    config::Config,
    data_folder,
    db::{self, backup::copy_sqlite},
    error::{Code, Error, Result},
    telemetry,
};

const DUMP: &str = "runyard.dump";
const FILES: &str = "files.tar.gz";
/// Omitted from the archive of the files: the database, which is copied separately, and files of the running process.
const OMITTED: &[&str] = &["./runyard.db*", "./lock", "./commands"];

/// Copy the database and the files of the server to a new folder. The server keeps running.
///
/// Run this command on the server's machine, as its user or as root. The backup contains secrets and everything that
/// users have sent. With PostgreSQL, it needs the program pg_dump.
#[derive(Args, Debug)]
pub(super) struct Backup {
    /// New folder for the backup.
    folder: PathBuf,
}

/// Restore a backup to an empty data folder and, with PostgreSQL, an empty database.
///
/// Stop all servers of the installation first. Unfinished runs continue from the last event in the backup.
#[derive(Args, Debug)]
pub(super) struct Restore {
    /// Folder of the backup.
    folder: PathBuf,
}

impl Backup {
    pub(super) fn execute(self, settings: &Settings) -> Result<Outcome> {
        telemetry::start_logging(&settings.log_filter("warn"))?;
        let config = settings.config()?;
        let data = absolute(&config.data_dir);
        if config.database_url.is_none() && !db::is_data_folder(&data) {
            return Err(Error::invalid(format!(
                "there is no server data in {}; name the server's data folder with --data-dir or RUNYARD_DATA_DIR",
                data.display()
            )));
        }
        let folder = absolute(&self.folder);
        if folder.exists() {
            let message = format!("{} exists; a backup needs a new folder", folder.display());
            return Err(Error::invalid(message));
        }
        // An incomplete backup never has the final name.
        let draft = folder.with_added_extension("partial");
        let private = DirBuilder::new().recursive(true).mode(0o700).create(&draft);
        private.map_err(|error| unusable(&draft, &error))?;
        let outcome = write(&config, &data, &draft)
            .and_then(|()| fs::rename(&draft, &folder).map_err(|error| unusable(&folder, &error)));
        if outcome.is_err() {
            // The error of the backup is reported.
            let _ = fs::remove_dir_all(&draft);
        }
        outcome?;
        remark("the backup is complete");
        Output::new().line(&folder.display().to_string())?;
        Ok(Outcome::Success)
    }
}

fn write(config: &Config, data: &Path, backup: &Path) -> Result<()> {
    remark("copying the database");
    let database = if let Some(url) = &config.database_url {
        let dump = backup.join(DUMP);
        let mut command = postgres("pg_dump", url)?;
        run(command.arg("--format=custom").arg("--file").arg(&dump), &[0])?;
        dump
    } else {
        let copy = backup.join(data_folder::DATABASE);
        copy_sqlite(data, &copy)?;
        copy
    };
    remark("copying the files");
    let files = backup.join(FILES);
    let mut command = Command::new("tar");
    command.args(["--create", "--gzip", "--numeric-owner", "--sparse", "--file"]);
    command.arg(&files).arg("--directory").arg(data);
    command.args(OMITTED.iter().map(|pattern| format!("--exclude={pattern}")));
    // Status 1 means that a file changed while it was read.
    run(command.arg("."), &[0, 1])?;
    for file in [&database, &files] {
        let closed = fs::set_permissions(file, Permissions::from_mode(0o600))
            .and_then(|()| File::open(file)?.sync_all())
            .and_then(|()| fs::metadata(file));
        let metadata = closed.map_err(|error| unusable(file, &error))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        remark(&format!("{name}: {}", size(metadata.len().cast_signed())));
    }
    let synced = File::open(backup).and_then(|folder| folder.sync_all());
    synced.map_err(|error| unusable(backup, &error))
}

impl Restore {
    pub(super) fn execute(self, settings: &Settings) -> Result<Outcome> {
        telemetry::start_logging(&settings.log_filter("warn"))?;
        let config = settings.config()?;
        let (backup, data) = (absolute(&self.folder), absolute(&config.data_dir));
        let name = if config.database_url.is_some() {
            DUMP
        } else {
            data_folder::DATABASE
        };
        for name in [name, FILES] {
            if !backup.join(name).is_file() {
                return Err(Error::invalid(format!(
                    "{} contains no {name}; with PostgreSQL, a backup contains {DUMP}, and otherwise {}",
                    backup.display(),
                    data_folder::DATABASE
                )));
            }
        }
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&data);
        made.map_err(|error| unusable(&data, &error))?;
        let mut entries = fs::read_dir(&data).map_err(|error| unusable(&data, &error))?;
        if entries.next().is_some() {
            return Err(Error::invalid(format!(
                "the data folder {} is not empty; move its content away, or name another folder with --data-dir",
                data.display()
            )));
        }
        let outcome = read(&config, &backup, &data);
        if outcome.is_err() {
            empty(&data);
        }
        outcome?;
        remark("the backup is restored; check it with `runyard doctor`, and start the server");
        Output::new().line(&data.display().to_string())?;
        Ok(Outcome::Success)
    }
}

fn read(config: &Config, backup: &Path, data: &Path) -> Result<()> {
    let owner = fs::metadata(data).map_err(|error| unusable(data, &error))?;
    remark("restoring the files");
    let mut command = Command::new("tar");
    command.args([
        "--extract",
        "--gzip",
        "--numeric-owner",
        "--preserve-permissions",
        "--file",
    ]);
    run(command.arg(backup.join(FILES)).arg("--directory").arg(data), &[0])?;
    remark("restoring the database");
    if let Some(url) = &config.database_url {
        let mut command = postgres("pg_restore", url)?;
        command.args(["--exit-on-error", "--single-transaction", "--no-owner"]);
        return run(command.arg(backup.join(DUMP)), &[0]);
    }
    let database = data.join(data_folder::DATABASE);
    let copied = fs::copy(backup.join(data_folder::DATABASE), &database)
        .and_then(|_| fs::set_permissions(&database, Permissions::from_mode(0o600)))
        .and_then(|()| chown(&database, Some(owner.uid()), Some(owner.gid())))
        .and_then(|()| File::open(&database)?.sync_all());
    copied.map_err(|error| unusable(&database, &error))
}

/// Removes everything from the data folder, which was empty before the restore.
fn empty(data: &Path) {
    // Errors are ignored, because the error of the restore is reported.
    for entry in fs::read_dir(data).into_iter().flatten().flatten() {
        let path = entry.path();
        let _ = if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
    }
}

/// Returns a program of PostgreSQL with the address of the database. Other users of the machine see the arguments, so
/// the password is passed in the environment.
fn postgres(program: &str, url: &SecretString) -> Result<Command> {
    let invalid = || Error::invalid("the database URL is invalid");
    let mut url = Url::parse(url.expose_secret()).map_err(|_| invalid())?;
    let mut command = Command::new(program);
    if let Some(password) = url.password() {
        let password = percent_encoding::percent_decode_str(password).decode_utf8();
        command.env("PGPASSWORD", password.map_err(|_| invalid())?.as_ref());
        url.set_password(None).map_err(|()| invalid())?;
    }
    command.arg("--no-password").arg("--dbname").arg(url.as_str());
    Ok(command)
}

/// Runs a program. Its messages are printed.
fn run(command: &mut Command, permitted: &[i32]) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|error| {
        let advice = match (error.kind(), program.as_str()) {
            (io::ErrorKind::NotFound, "tar") => ": install tar",
            (io::ErrorKind::NotFound, _) => ": install the client programs of PostgreSQL (Debian: postgresql-client)",
            _ => "",
        };
        Error::new(Code::Unavailable, format!("cannot run {program}: {error}{advice}"))
    })?;
    if status.code().is_some_and(|code| permitted.contains(&code)) {
        return Ok(());
    }
    Err(Error::new(
        Code::Unavailable,
        format!("{program} failed ({status}); its message is above"),
    ))
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::new(Code::Unavailable, format!("cannot use {}: {error}", path.display()))
}
