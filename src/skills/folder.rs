//! The unpacked files of skills, one folder per version in the data folder.
//!
//! The folders are a cache of the archives in the database. A folder gets its final name only when it is complete,
//! and then never changes. The sweeper (`background/sweeper.rs`) removes the folders of deleted versions.

use std::{fs, path::PathBuf};

use uuid::Uuid;

use super::{archive, list};
use crate::{
    accounts::Scope,
    app::App,
    blocking, data_folder,
    error::{Error, Result},
    id,
};

/// Returns the absolute path of the folder that contains all version folders.
pub fn folder(app: &App) -> PathBuf {
    let folder = app.config.data_dir.join(data_folder::SKILLS);
    std::path::absolute(&folder).unwrap_or(folder)
}

/// Returns the folder of a version. Unpacks the archive on first use.
///
/// # Errors
/// `SKILL_NOT_FOUND` if the version was deleted; UNAVAILABLE if the disk is almost full.
pub async fn ensure(app: &App, scope: Scope, version_id: Uuid) -> Result<PathBuf> {
    let all = folder(app);
    let path = all.join(version_id.to_string());
    if tokio::fs::metadata(&path).await.is_ok_and(|found| found.is_dir()) {
        return Ok(path);
    }
    let bytes = list::archive(app.db.read(), scope, version_id).await?;
    app.disk.check(bytes.len() as u64)?;
    // After a crash, the sweeper removes the unfinished folder, because its name is not the id of a version.
    let (unfinished, finished) = (all.join(id::new().to_string()), path.clone());
    blocking::run("the skill could not be unpacked", move || {
        let made = archive::unpack(&bytes, &unfinished).and_then(|()| match fs::rename(&unfinished, &finished) {
            // Another run has unpacked the version in the meantime.
            Err(_) if finished.is_dir() => Ok(()),
            renamed => renamed.map_err(|error| Error::internal("the skill could not be unpacked", error)),
        });
        drop(fs::remove_dir_all(&unfinished));
        made
    })
    .await?;
    Ok(path)
}
