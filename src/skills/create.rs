//! Stores an uploaded archive as a new skill, or as the next version of an existing skill.

use bytes::Bytes;
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel};
use uuid::Uuid;

use super::{
    archive::{self, Inspected},
    list::{self, Details, Skill},
    table::{content, skill, version},
};
use crate::{
    accounts::{Caller, ensure, queue},
    app::App,
    blocking,
    db::Tx,
    error::{Code, Error, Result},
    id,
};

pub(super) const MAX_SKILLS: u64 = 100;
pub(super) const MAX_VERSIONS: u64 = 100;

/// Stores an archive as a skill, or as the next version if the account already has a skill with the name in SKILL.md.
/// If the archive equals the current version, nothing is written, so a client can repeat the request.
///
/// # Errors
/// INVALID_REQUEST or `TOO_LARGE` for an archive that breaks a rule; CONFLICT if the account stores too many skills,
/// versions or bytes.
pub async fn create(app: &App, caller: &Caller, archive: Bytes) -> Result<Details> {
    let bytes = archive.clone();
    let inspect = move || archive::inspect(&bytes);
    let inspected = blocking::run("the archive could not be checked", inspect).await?;
    let digest = blake3::hash(&archive).to_hex().to_string();
    app.disk.check(archive.len() as u64)?;
    let tx = queue::begin(app, caller.account_id, "skills.create").await?;
    // The lock prevents concurrent requests from exceeding the limits or using the same version number.
    ensure::lock(&tx, caller.account_id).await?;
    let rows = list::rows(&tx, caller.scope(), None, MAX_SKILLS + 1).await?;
    let found = rows.iter().find(|row| row.name == inspected.front_matter.name);
    if let Some(row) = found {
        let current = list::load(&tx, caller.scope(), row.id, None).await?;
        if current.version.digest == digest {
            return list::details(&tx, caller.scope(), current).await;
        }
        let versions = list::versions(&tx, caller.scope(), row.id).await?;
        if versions.len() as u64 >= MAX_VERSIONS {
            return Err(full(format!("the skill has {MAX_VERSIONS} versions; delete one first")));
        }
    } else if rows.len() as u64 >= MAX_SKILLS {
        return Err(full(format!("the account has {MAX_SKILLS} skills; delete one first")));
    }
    let stored: i64 = rows.iter().map(|row| row.stored_bytes).sum();
    let most = app.config.skills.max_bytes_per_account;
    if stored.unsigned_abs() + archive.len() as u64 > most {
        return Err(full(format!(
            "the skills of an account may have up to {most} bytes together; delete skills or versions first"
        )));
    }
    let new = New {
        caller,
        inspected,
        archive,
        digest,
    };
    let skill = new.insert(app, &tx, found.cloned()).await?;
    let details = list::details(&tx, caller.scope(), skill).await?;
    tx.commit().await?;
    Ok(details)
}

fn full(message: String) -> Error {
    Error::new(Code::Conflict, message)
}

struct New<'a> {
    caller: &'a Caller,
    inspected: Inspected,
    archive: Bytes,
    digest: String,
}

impl New<'_> {
    /// Inserts a version and makes it current. Inserts the skill if it is new.
    async fn insert(self, app: &App, tx: &Tx, found: Option<skill::Model>) -> Result<Skill> {
        let now = app.clock.now();
        let bytes = i64::try_from(self.archive.len()).unwrap_or(i64::MAX);
        let version_id = id::new();
        let row = if let Some(mut row) = found {
            row.current_version_id = version_id;
            row.version_count += 1;
            row.stored_bytes += bytes;
            row.updated_at = now;
            skill::Entity::update(row.clone().into_active_model().reset_all())
                .exec(tx)
                .await?;
            row
        } else {
            let row = skill::Model {
                id: id::new(),
                account_id: self.caller.account_id,
                name: self.inspected.front_matter.name.clone(),
                current_version_id: version_id,
                version_count: 1,
                stored_bytes: bytes,
                created_at: now,
                updated_at: now,
            };
            skill::Entity::insert(row.clone().into_active_model())
                .exec_without_returning(tx)
                .await?;
            row
        };
        let version = self.insert_version(tx, &row, (version_id, bytes)).await?;
        Ok(Skill { row, version })
    }

    async fn insert_version(self, tx: &Tx, skill: &skill::Model, (id, bytes): (Uuid, i64)) -> Result<version::Model> {
        let front = &self.inspected.front_matter;
        let version = version::Model {
            id,
            skill_id: skill.id,
            account_id: skill.account_id,
            number: skill.version_count,
            description: front.description.clone(),
            license: front.license.clone(),
            compatibility: front.compatibility.clone(),
            metadata: json(&front.metadata)?,
            allowed_tools: json(&front.allowed_tools())?,
            archive_bytes: bytes,
            unpacked_bytes: i64::try_from(self.inspected.unpacked_bytes).unwrap_or(i64::MAX),
            digest: self.digest,
            created_at: skill.updated_at,
        };
        let content = content::Model {
            id,
            account_id: skill.account_id,
            instructions: self.inspected.instructions,
            files: json(&self.inspected.files)?,
            archive: self.archive.into(),
        };
        version::Entity::insert(version.clone().into_active_model())
            .exec_without_returning(tx)
            .await?;
        content::Entity::insert(content.into_active_model())
            .exec_without_returning(tx)
            .await?;
        Ok(version)
    }
}

fn json(value: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|error| Error::internal("a field of the skill could not be encoded", error))
}
