//! Comparing two versions of an agent, field by field.

use serde_json::Value;

use super::Content;
use crate::{
    agents::{mcp::headers, rules::json, table::version},
    error::Result,
};

#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Name of the field in the API.
    pub field: &'static str,
    pub before: Value,
    pub after: Value,
}

/// Lists the fields that differ, in the order of the API. Header values of MCP servers are compared but masked in the
/// result.
///
/// # Errors
/// INTERNAL if a stored version cannot be read.
pub fn compare(one: &version::Model, other: &version::Model) -> Result<Vec<Difference>> {
    let (one, other) = (Content::of(one)?, Content::of(other)?);
    let differs = fields(&one)?
        .into_iter()
        .zip(fields(&other)?)
        .map(|(one, other)| one != other);
    let shown = fields(&masked(one))?.into_iter().zip(fields(&masked(other))?);
    Ok(differs
        .zip(shown)
        .filter_map(|(differs, shown)| differs.then_some(shown))
        .map(|((field, before), (_, after))| Difference { field, before, after })
        .collect())
}

fn masked(mut content: Content) -> Content {
    for servers in [&mut content.configured_mcps, &mut content.custom_mcps] {
        *servers = headers::masked(servers);
    }
    content
}

fn fields(content: &Content) -> Result<[(&'static str, Value); 8]> {
    Ok([
        ("system_prompt", json(&content.system_prompt)?),
        ("model", json(&content.model)?),
        ("configured_mcps", json(&content.configured_mcps)?),
        ("custom_mcps", json(&content.custom_mcps)?),
        ("agentpress_tools", json(&content.tools)?),
        ("skills", json(&content.skills)?),
        ("memory", json(&content.memory)?),
        ("approvals", json(&content.approvals)?),
    ])
}
