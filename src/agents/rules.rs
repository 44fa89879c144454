//! What the fields of an agent and of its versions may hold; called before anything is written.

use super::icons;
use crate::{
    app::App,
    error::{Error, Result},
};

/// Characters of a name, at least and at most.
const NAME: std::ops::RangeInclusive<usize> = 2..=100;
/// Characters of a description at most.
const MAX_DESCRIPTION: usize = 2_000;
/// Characters of a system prompt at most.
const MAX_PROMPT: usize = 100_000;
/// Labels at most, and characters of one.
const MAX_TAGS: (usize, usize) = (20, 50);

/// Checks a name.
///
/// # Errors
/// INVALID_REQUEST in the seed's words.
pub(super) fn name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid_field("name", "Agent name is required"));
    }
    if !NAME.contains(&name.chars().count()) || name.trim().is_empty() || name.contains('\0') {
        return Err(Error::invalid_field("name", "Agent name must have 2 to 100 characters"));
    }
    Ok(())
}

/// Checks a description.
pub(super) fn description(text: &str) -> Result<()> {
    at_most("description", text, MAX_DESCRIPTION)
}

/// Checks a system prompt.
pub(super) fn system_prompt(text: &str) -> Result<()> {
    at_most("system_prompt", text, MAX_PROMPT)
}

/// Checks the name of an icon: any plain name is accepted, so that clients with a larger library than
/// [`icons::LIBRARY`] can use it.
pub(super) fn icon_name(name: &str) -> Result<()> {
    if !(1..=64).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Error::invalid_field(
            "icon_name",
            "icon_name must be a name of the icon library, such as \"bot\"",
        ));
    }
    Ok(())
}

/// Checks a colour.
pub(super) fn colour(field: &'static str, value: &str) -> Result<()> {
    if icons::is_colour(value) {
        return Ok(());
    }
    Err(Error::invalid_field(
        field,
        format!("{field} must be a colour like #6366F1"),
    ))
}

/// Checks that a model is in the model table.
pub(super) fn model(app: &App, name: &str) -> Result<()> {
    app.models.load(name).map(drop)
}

/// Checks labels.
pub(super) fn tags(tags: &[String]) -> Result<()> {
    let (most, longest) = MAX_TAGS;
    let is_wrong = |tag: &String| tag.is_empty() || tag.chars().count() > longest || tag.contains('\0');
    if tags.len() > most || tags.iter().any(is_wrong) {
        return Err(Error::invalid_field(
            "tags",
            format!("tags must be at most {most} labels of 1 to {longest} characters"),
        ));
    }
    Ok(())
}

/// What is stored for a list.
pub(super) fn json(value: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|error| Error::internal("agent", error))
}

/// What a stored list says.
///
/// # Errors
/// INTERNAL, when it was not written by us.
pub fn read<T: serde::de::DeserializeOwned>(stored: &serde_json::Value) -> Result<T> {
    T::deserialize(stored).map_err(|error| Error::internal("agent", error))
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
