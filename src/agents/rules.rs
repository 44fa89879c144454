//! Validation of the fields of agents and versions.

use super::icons;
use crate::{
    app::App,
    error::{Error, Result},
};

/// Allowed length of a name in characters.
const NAME: std::ops::RangeInclusive<usize> = 2..=100;
/// Maximum length of a description in characters.
const MAX_DESCRIPTION: usize = 2_000;
/// Maximum length of a system prompt in characters.
const MAX_PROMPT: usize = 100_000;
/// Maximum number of tags, and maximum length of a tag in characters.
const MAX_TAGS: (usize, usize) = (20, 50);

/// The API documentation fixes the message for an empty name.
pub(super) fn name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid_field("name", "Agent name is required"));
    }
    if !NAME.contains(&name.chars().count()) || name.trim().is_empty() || name.contains('\0') {
        return Err(Error::invalid_field("name", "name must have 2 to 100 characters"));
    }
    Ok(())
}

pub(super) fn description(text: &str) -> Result<()> {
    at_most("description", text, MAX_DESCRIPTION)
}

pub(super) fn system_prompt(text: &str) -> Result<()> {
    at_most("system_prompt", text, MAX_PROMPT)
}

/// Accepts names outside [`icons::LIBRARY`], so that clients can use a larger library.
pub(super) fn icon_name(name: &str) -> Result<()> {
    if !(1..=64).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Error::invalid_field(
            "icon_name",
            "icon_name must have 1 to 64 letters, digits and hyphens, such as \"bot\"",
        ));
    }
    Ok(())
}

pub(super) fn colour(field: &'static str, value: &str) -> Result<()> {
    if icons::is_colour(value) {
        return Ok(());
    }
    Err(Error::invalid_field(
        field,
        format!("{field} must be a colour such as #6366F1"),
    ))
}

pub(super) fn model(app: &App, name: &str) -> Result<()> {
    app.models.load(name).map(drop)
}

pub(super) fn tags(tags: &[String]) -> Result<()> {
    let (most, longest) = MAX_TAGS;
    let is_wrong = |tag: &String| tag.is_empty() || tag.chars().count() > longest || tag.contains('\0');
    if tags.len() > most || tags.iter().any(is_wrong) {
        return Err(Error::invalid_field(
            "tags",
            format!("tags must have at most {most} entries of 1 to {longest} characters each"),
        ));
    }
    Ok(())
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|error| Error::internal("a field of the agent could not be encoded", error))
}

pub fn read<T: serde::de::DeserializeOwned>(stored: &serde_json::Value) -> Result<T> {
    T::deserialize(stored).map_err(|error| Error::internal("a stored field of the agent could not be decoded", error))
}

fn at_most(field: &'static str, text: &str, most: usize) -> Result<()> {
    if text.chars().count() > most || text.contains('\0') {
        return Err(Error::invalid_field(
            field,
            format!("{field} must have at most {most} characters"),
        ));
    }
    Ok(())
}
