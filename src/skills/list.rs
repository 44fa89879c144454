//! Queries for skills.

use std::collections::{BTreeMap, HashSet};

use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::{
    SkillFile,
    create::MAX_VERSIONS,
    table::{content, skill, version},
};
use crate::{
    accounts::{Scope, of},
    error::{Code, Error, Result},
};

/// A skill with one of its versions.
#[derive(Clone, Debug, PartialEq)]
pub struct Skill {
    pub row: skill::Model,
    pub version: version::Model,
}

/// A skill with the content of one version.
#[derive(Clone, Debug, PartialEq)]
pub struct Details {
    pub skill: Skill,
    pub instructions: String,
    pub files: Vec<SkillFile>,
    pub versions: Vec<version::Model>,
    /// Number of the current version.
    pub current: i32,
}

/// Lists skills with their current versions, newest first. `before` is the last id of the previous page.
pub async fn list(db: &impl ConnectionTrait, scope: Scope, before: Option<Uuid>, limit: u64) -> Result<Vec<Skill>> {
    let rows = rows(db, scope, before, limit).await?;
    let mut versions = versions_of(db, scope, rows.iter().map(|row| row.current_version_id)).await?;
    let with_version = |row: skill::Model| {
        let version = versions.remove(&row.current_version_id)?;
        Some(Skill { row, version })
    };
    Ok(rows.into_iter().filter_map(with_version).collect())
}

pub(super) async fn rows(
    db: &impl ConnectionTrait,
    scope: Scope,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<skill::Model>> {
    let mut query = of::<skill::Entity>(scope);
    if let Some(before) = before {
        query = query.filter(skill::Column::Id.lt(before));
    }
    Ok(query.order_by_desc(skill::Column::Id).limit(limit).all(db).await?)
}

pub(super) async fn versions_of(
    db: &impl ConnectionTrait,
    scope: Scope,
    ids: impl Iterator<Item = Uuid>,
) -> Result<BTreeMap<Uuid, version::Model>> {
    let ids: Vec<Uuid> = ids.collect();
    // For an empty list, SeaORM builds a condition that is always false. A database may scan the whole table to
    // evaluate it.
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found = of::<version::Entity>(scope)
        .filter(version::Column::Id.is_in(ids))
        .all(db)
        .await?;
    Ok(found.into_iter().map(|version| (version.id, version)).collect())
}

/// Loads a skill with one version; `None` selects the current version.
pub async fn load(db: &impl ConnectionTrait, scope: Scope, skill_id: Uuid, number: Option<i32>) -> Result<Skill> {
    let row = of::<skill::Entity>(scope)
        .filter(skill::Column::Id.eq(skill_id))
        .one(db)
        .await?
        .ok_or_else(not_found)?;
    let versions = of::<version::Entity>(scope);
    let version = match number {
        None => versions.filter(version::Column::Id.eq(row.current_version_id)),
        Some(number) => versions
            .filter(version::Column::SkillId.eq(row.id))
            .filter(version::Column::Number.eq(number)),
    };
    let version = version.one(db).await?.ok_or_else(not_found)?;
    Ok(Skill { row, version })
}

pub(super) async fn versions(db: &impl ConnectionTrait, scope: Scope, skill_id: Uuid) -> Result<Vec<version::Model>> {
    Ok(of::<version::Entity>(scope)
        .filter(version::Column::SkillId.eq(skill_id))
        .order_by_desc(version::Column::Number)
        .limit(MAX_VERSIONS)
        .all(db)
        .await?)
}

/// Loads the content of a version, and the list of all versions.
///
/// # Errors
/// `SKILL_NOT_FOUND` if the version was deleted.
pub async fn details(db: &impl ConnectionTrait, scope: Scope, skill: Skill) -> Result<Details> {
    let content: Option<(String, serde_json::Value)> = of::<content::Entity>(scope)
        .filter(content::Column::Id.eq(skill.version.id))
        .select_only()
        .column(content::Column::Instructions)
        .column(content::Column::Files)
        .into_tuple()
        .one(db)
        .await?;
    let (instructions, files) = content.ok_or_else(not_found)?;
    let versions = versions(db, scope, skill.row.id).await?;
    let is_current = |version: &&version::Model| version.id == skill.row.current_version_id;
    Ok(Details {
        current: versions.iter().find(is_current).map_or(0, |version| version.number),
        files: serde_json::from_value(files)
            .map_err(|error| Error::internal("the files of the skill could not be decoded", error))?,
        skill,
        instructions,
        versions,
    })
}

pub(super) async fn archive(db: &impl ConnectionTrait, scope: Scope, version_id: Uuid) -> Result<Vec<u8>> {
    let found: Option<Vec<u8>> = of::<content::Entity>(scope)
        .filter(content::Column::Id.eq(version_id))
        .select_only()
        .column(content::Column::Archive)
        .into_tuple()
        .one(db)
        .await?;
    found.ok_or_else(not_found)
}

/// Returns the subset of `ids` for which a version exists in the scope.
pub async fn known(
    db: &impl ConnectionTrait,
    scope: Scope,
    ids: impl ExactSizeIterator<Item = Uuid>,
) -> Result<HashSet<Uuid>> {
    if ids.len() == 0 {
        return Ok(HashSet::new());
    }
    let found: Vec<Uuid> = of::<version::Entity>(scope)
        .select_only()
        .column(version::Column::Id)
        .filter(version::Column::Id.is_in(ids))
        .into_tuple()
        .all(db)
        .await?;
    Ok(found.into_iter().collect())
}

pub(super) fn not_found() -> Error {
    Error::new(Code::SkillNotFound, "Skill not found")
}
