//! Comparing two versions of an agent, field by field.

use serde_json::Value;

use super::Content;
use crate::{
    agents::{rules::json, table::version},
    error::Result,
};

#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Name of the field in the API.
    pub field: &'static str,
    /// Value in the first version.
    pub before: Value,
    /// Value in the second version.
    pub after: Value,
}

/// Lists the fields that differ, in the order of the API's fields.
///
/// # Errors
/// INTERNAL if a stored version cannot be read.
pub fn compare(one: &version::Model, other: &version::Model) -> Result<Vec<Difference>> {
    let (one, other) = (fields(&Content::of(one)?)?, fields(&Content::of(other)?)?);
    Ok(one
        .into_iter()
        .zip(other)
        .filter(|((_, before), (_, after))| before != after)
        .map(|((field, before), (_, after))| Difference { field, before, after })
        .collect())
}

fn fields(content: &Content) -> Result<[(&'static str, Value); 7]> {
    Ok([
        ("system_prompt", json(&content.system_prompt)?),
        ("model", json(&content.model)?),
        ("configured_mcps", json(&content.configured_mcps)?),
        ("custom_mcps", json(&content.custom_mcps)?),
        ("agentpress_tools", json(&content.tools)?),
        ("skills", json(&content.skills)?),
        ("memory", json(&content.memory)?),
    ])
}
