//! Validates the list of skills of an agent version, and finds the skill versions that a run uses.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter};
use serde::{Deserialize, Serialize};

use super::{
    front_matter::check_name,
    list::versions_of,
    table::{skill, version},
};
use crate::{
    accounts::{Scope, of},
    error::{Error, Result},
};

const FIELD: &str = "skills";
const MAX_ATTACHED: usize = 32;

/// An entry in an agent version's list of skills. The database stores the list as JSON.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Attached {
    pub name: String,
    /// Version number of the skill. `None` selects the version that is current when the run starts.
    pub version: Option<i32>,
}

/// Validates a list of skills. Does not check whether the skills exist.
pub fn check(attached: &[Attached]) -> Result<()> {
    if attached.len() > MAX_ATTACHED {
        let message = format!("skills must have at most {MAX_ATTACHED} entries");
        return Err(Error::invalid_field(FIELD, message));
    }
    let mut names = BTreeSet::new();
    for (position, skill) in attached.iter().enumerate() {
        let wrong = |what: String| Err(Error::invalid_field(FIELD, format!("skills[{position}] {what}")));
        if let Err(what) = check_name(&skill.name) {
            return wrong(what);
        }
        if !names.insert(&skill.name) {
            return wrong(format!("names {} again", skill.name));
        }
        if skill.version.is_some_and(|version| version < 1) {
            return wrong("must have a version of 1 or more, or no version".to_owned());
        }
    }
    Ok(())
}

pub async fn check_known(db: &impl ConnectionTrait, scope: Scope, attached: &[Attached]) -> Result<()> {
    let found = find(db, scope, attached).await?;
    match found.iter().position(|(_, version)| version.is_none()) {
        None => Ok(()),
        Some(position) => {
            let what = describe(&attached[position]);
            let message = format!("skills[{position}]: the account has no {what}; upload it first");
            Err(Error::invalid_field(FIELD, message))
        }
    }
}

pub fn describe(attached: &Attached) -> String {
    match attached.version {
        Some(version) => format!("version {version} of the skill {}", attached.name),
        None => format!("skill {}", attached.name),
    }
}

/// Finds the versions of the listed skills, with `None` for each missing skill or version.
pub async fn find<'a>(
    db: &impl ConnectionTrait,
    scope: Scope,
    attached: &'a [Attached],
) -> Result<Vec<(&'a Attached, Option<version::Model>)>> {
    if attached.is_empty() {
        return Ok(Vec::new());
    }
    let rows = of::<skill::Entity>(scope)
        .filter(skill::Column::Name.is_in(attached.iter().map(|skill| skill.name.as_str())))
        .all(db)
        .await?;
    let rows: BTreeMap<&str, &skill::Model> = rows.iter().map(|row| (row.name.as_str(), row)).collect();
    let mut current = versions_of(db, scope, rows.values().map(|row| row.current_version_id)).await?;
    let mut found = Vec::with_capacity(attached.len());
    for skill in attached {
        let version = match (rows.get(skill.name.as_str()), skill.version) {
            (None, _) => None,
            (Some(row), None) => current.remove(&row.current_version_id),
            (Some(row), Some(number)) => {
                of::<version::Entity>(scope)
                    .filter(version::Column::SkillId.eq(row.id))
                    .filter(version::Column::Number.eq(number))
                    .one(db)
                    .await?
            }
        };
        found.push((skill, version));
    }
    Ok(found)
}
