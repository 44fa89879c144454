//! What differs between two versions. Pure.

use serde_json::Value;

use super::Content;
use crate::{
    agents::{rules::json, table::version},
    error::Result,
};

/// One field that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The field, as the contract names it.
    pub field: &'static str,
    /// Its value in the first version.
    pub before: Value,
    /// Its value in the other one.
    pub after: Value,
}

/// The fields that differ, in the order of the contract.
///
/// # Errors
/// INTERNAL, when a stored version cannot be read.
pub fn compare(one: &version::Model, other: &version::Model) -> Result<Vec<Difference>> {
    let (one, other) = (fields(&Content::of(one)?)?, fields(&Content::of(other)?)?);
    Ok(one
        .into_iter()
        .zip(other)
        .filter(|((_, before), (_, after))| before != after)
        .map(|((field, before), (_, after))| Difference { field, before, after })
        .collect())
}

fn fields(content: &Content) -> Result<[(&'static str, Value); 5]> {
    Ok([
        ("system_prompt", json(&content.system_prompt)?),
        ("model", json(&content.model)?),
        ("configured_mcps", json(&content.configured_mcps)?),
        ("custom_mcps", json(&content.custom_mcps)?),
        ("agentpress_tools", json(&content.tools)?),
    ])
}
