//! Receives files. `FileService` first receives a name and a size, and then chunks. Multipart forms send each file as
//! one stream.

use std::{
    io::SeekFrom,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, sea_query::Expr,
};
use tokio::{
    fs::{self, File, OpenOptions},
    io::{AsyncSeekExt, AsyncWriteExt},
};
use uuid::Uuid;

use super::{
    largest, staged,
    table::{ActiveModel, Column, Entity, Model},
    waiting::{self, Arrival},
};
use runyard_sandbox::disk;

use crate::{
    accounts::{Caller, Scope, ensure, of, queue},
    app::App,
    config::Limits,
    error::{Code, Error, Result},
    id,
};

pub const MAX_CHUNK: usize = 1024 * 1024;
/// Maximum length in bytes of the file name that a client sends.
const MAX_NAME: usize = 4096;

/// Creates an upload from the name and size that the client states.
///
/// # Errors
/// INVALID_REQUEST for an invalid name or size; `TOO_LARGE`; THROTTLED if the account has too many unused uploads;
/// UNAVAILABLE if the disk is almost full.
pub async fn announce(app: &App, caller: &Caller, name: String, size: i64) -> Result<Model> {
    check_name(&name)?;
    if size < 0 {
        return Err(Error::invalid_field("size", "size must not be negative"));
    }
    let largest = largest(app, caller.account_id).await?;
    if size.unsigned_abs() > largest {
        return Err(too_large(app, largest));
    }
    let row = Model {
        id: id::new(),
        account_id: caller.account_id,
        name,
        size,
        received: 0,
        digest: None,
        run_id: None,
        placed_as: None,
        placed: false,
        created_at: app.clock.now(),
    };
    let mut staging = Staging {
        path: staged(app, row.id),
        keep: false,
    };
    app.disk.check(size.unsigned_abs())?;
    drop(create(&staging.path).await?);
    insert(app, &row, largest).await?;
    staging.keep = true;
    if size == 0 { finish(app, row).await } else { Ok(row) }
}

/// Adds a chunk to an upload. A chunk whose bytes were all received before changes nothing.
///
/// # Errors
/// `UPLOAD_NOT_FOUND`; `UPLOAD_INCOMPLETE` for a gap before the chunk; `TOO_LARGE` if the chunk exceeds [`MAX_CHUNK`]
/// or the stated size.
pub async fn chunk(app: &App, caller: &Caller, upload_id: Uuid, offset: i64, data: Bytes) -> Result<Model> {
    if data.len() > MAX_CHUNK {
        return Err(Error::new(Code::TooLarge, "a chunk may have up to 1 MiB"));
    }
    let row = load(app.db.read(), caller.scope(), upload_id).await?;
    if row.run_id.is_some() {
        return Err(not_found());
    }
    let length = i64::try_from(data.len()).unwrap_or(i64::MAX);
    if offset < 0 || offset > row.received {
        let message = format!(
            "the upload has received {} bytes; the chunk must start at that offset or before",
            row.received
        );
        return Err(Error::new(Code::UploadIncomplete, message));
    }
    let end = offset.saturating_add(length);
    if end > row.size {
        return Err(Error::new(
            Code::TooLarge,
            format!("the chunk ends beyond the announced size of {} bytes", row.size),
        ));
    }
    if end <= row.received {
        return Ok(row);
    }
    app.disk.check(data.len() as u64)?;
    let mut file = OpenOptions::new()
        .write(true)
        .open(staged(app, upload_id))
        .await
        .map_err(not_written)?;
    file.seek(SeekFrom::Start(offset.unsigned_abs()))
        .await
        .map_err(not_written)?;
    file.write_all(&data).await.map_err(not_written)?;
    // Bytes that are reported as received must survive a crash.
    file.sync_data().await.map_err(not_written)?;
    let tx = app.db.begin("uploads.chunk").await?;
    Entity::update_many()
        .col_expr(Column::Received, Expr::value(end))
        .filter(Column::AccountId.eq(caller.account_id))
        .filter(Column::Id.eq(upload_id))
        .filter(Column::Received.lt(end))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    let row = load(app.db.read(), caller.scope(), upload_id).await?;
    if row.received == row.size && !row.is_complete() {
        finish(app, row).await
    } else {
        Ok(row)
    }
}

/// Receives a whole file as a stream. The received bytes are removed if the file is too large or the stream fails.
///
/// # Errors
/// `TOO_LARGE`; THROTTLED if the account has too many unused or arriving files; errors of the stream.
pub async fn stream(
    app: &App,
    caller: &Caller,
    name: &str,
    content: impl Stream<Item = Result<Bytes>> + Send,
) -> Result<Model> {
    check_name(name)?;
    let largest = largest(app, caller.account_id).await?;
    // `arrival` checks the account's limits while bytes arrive. `insert` checks them again with the final size.
    let arrival = Arrival::begin(app, caller.account_id, largest).await?;
    let upload_id = id::new();
    let mut staging = Staging {
        path: staged(app, upload_id),
        keep: false,
    };
    let (size, digest) = copy(app, &staging.path, content, (arrival, largest)).await?;
    let row = Model {
        id: upload_id,
        account_id: caller.account_id,
        name: name.to_owned(),
        size,
        received: size,
        digest: Some(digest),
        run_id: None,
        placed_as: None,
        placed: false,
        created_at: app.clock.now(),
    };
    insert(app, &row, largest).await?;
    staging.keep = true;
    Ok(row)
}

/// A staged file. Dropping this value removes the file unless `keep` is set.
struct Staging {
    path: PathBuf,
    keep: bool,
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.keep {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

async fn copy(
    app: &App,
    path: &Path,
    content: impl Stream<Item = Result<Bytes>> + Send,
    (mut arrival, largest): (Arrival, u64),
) -> Result<(i64, String)> {
    let mut content = std::pin::pin!(content);
    let mut file = create(path).await?;
    let (mut size, mut digest) = (0_u64, blake3::Hasher::new());
    while let Some(piece) = content.next().await {
        let piece = piece?;
        size += piece.len() as u64;
        if size > largest {
            return Err(too_large(app, largest));
        }
        arrival.grow(piece.len() as u64, largest)?;
        app.disk.check(piece.len() as u64)?;
        digest.update(&piece);
        file.write_all(&piece).await.map_err(not_written)?;
    }
    file.sync_data().await.map_err(not_written)?;
    Ok((
        i64::try_from(size).unwrap_or(i64::MAX),
        digest.finalize().to_hex().to_string(),
    ))
}

/// Removes uploads that no run uses, with their files.
pub async fn discard(app: &App, scope: Scope, upload_ids: &[Uuid]) -> Result<()> {
    let rows = of::<Entity>(scope)
        .filter(Column::Id.is_in(upload_ids.iter().copied()))
        .filter(Column::RunId.is_null())
        .all(app.db.read())
        .await?;
    let tx = app.db.begin("uploads.discard").await?;
    let mut gone = Vec::with_capacity(rows.len());
    for row in rows {
        let deleted = Entity::delete_many()
            .filter(Column::Id.eq(row.id))
            .filter(Column::RunId.is_null())
            .exec(&tx)
            .await?;
        // A run may have taken the upload after its row was read. The file is then kept.
        if deleted.rows_affected == 1 {
            gone.push(row.id);
        }
    }
    tx.commit().await?;
    for upload_id in gone {
        drop(fs::remove_file(staged(app, upload_id)).await);
    }
    Ok(())
}

/// Loads an upload, whether or not it is complete or used.
pub async fn load(db: &impl ConnectionTrait, scope: Scope, upload_id: Uuid) -> Result<Model> {
    of::<Entity>(scope)
        .filter(Column::Id.eq(upload_id))
        .one(db)
        .await?
        .ok_or_else(not_found)
}

pub fn not_found() -> Error {
    Error::new(Code::UploadNotFound, "Upload not found")
}

async fn finish(app: &App, row: Model) -> Result<Model> {
    let path = staged(app, row.id);
    let digest = tokio::task::spawn_blocking(move || {
        let mut digest = blake3::Hasher::new();
        std::io::copy(&mut std::fs::File::open(path)?, &mut digest)?;
        Ok::<_, std::io::Error>(digest.finalize().to_hex().to_string())
    });
    let digest = digest
        .await
        .map_err(|error| Error::internal("the checksum of the upload could not be computed", error))?;
    let digest = digest.map_err(not_written)?;
    let tx = app.db.begin("uploads.finish").await?;
    let mut active: ActiveModel = row.clone().into_active_model();
    active.digest = Set(Some(digest.clone()));
    Entity::update(active).exec(&tx).await?;
    tx.commit().await?;
    Ok(Model {
        digest: Some(digest),
        ..row
    })
}

async fn insert(app: &App, row: &Model, largest: u64) -> Result<()> {
    let tx = queue::begin(app, row.account_id, "uploads.create").await?;
    // The lock prevents two uploads from using the same remaining space.
    ensure::lock(&tx, row.account_id).await?;
    waiting::check(app, &tx, row.account_id, (row.size, largest)).await?;
    Entity::insert(row.clone().into_active_model())
        .exec_without_returning(&tx)
        .await?;
    tx.commit().await
}

async fn create(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).await.map_err(not_written)?;
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .await
        .map_err(not_written)
}

fn not_written(error: std::io::Error) -> Error {
    disk::fault("the upload could not be written", error).into()
}

fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() || name.len() > MAX_NAME || name.contains('\0') {
        return Err(Error::invalid_field(
            "name",
            format!("name must have 1 to {MAX_NAME} bytes"),
        ));
    }
    Ok(())
}

fn too_large(app: &App, largest: u64) -> Error {
    let message = match app.config.limits {
        Limits::On => format!(
            "a file may have up to {largest} bytes on this plan; the server's operator can change the plan (`runyard tier`) \
             or turn plans off (RUNYARD_LIMITS=off)"
        ),
        Limits::Off => format!("a file may have up to {largest} bytes (http.max_form_bytes)"),
    };
    Error::new(Code::TooLarge, message)
}
