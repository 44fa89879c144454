//! The tool settings of a version: the six core tools, which are always on, and whatever else was set.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    llm::ToolSpec,
};

/// The tools that every agent has and nobody can switch off.
pub const CORE_TOOLS: [&str; 6] = ["bash", "read", "write", "edit", "glob", "grep"];
/// Tool settings of one agent at most.
const MAX_TOOLS: usize = 100;
/// Characters of a tool's name at most.
const MAX_NAME: usize = 64;

/// The setting of one tool.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Whether the agent may use the tool.
    pub enabled: bool,
}

/// Settings by tool name.
pub type Settings = BTreeMap<String, Setting>;

/// Merges what was asked for with the core tools.
///
/// # Errors
/// INVALID_REQUEST for names that are no tool names, and for too many of them.
pub fn merged(asked: Settings) -> Result<Settings> {
    const FIELD: &str = "agentpress_tools";
    if asked.len() > MAX_TOOLS {
        return Err(Error::invalid_field(
            FIELD,
            format!("agentpress_tools has more than {MAX_TOOLS} entries"),
        ));
    }
    for name in asked.keys() {
        let fits = (1..=MAX_NAME).contains(&name.len())
            && name
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "_-.:".contains(letter));
        if !fits {
            return Err(Error::invalid_field(
                FIELD,
                format!("agentpress_tools: {name:?} is not a tool name (1 to {MAX_NAME} letters, digits, _ - . :)"),
            ));
        }
    }
    let mut settings = asked;
    for name in CORE_TOOLS {
        settings.insert(name.to_owned(), Setting { enabled: true });
    }
    Ok(settings)
}

/// A tool with what an agent says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Offered {
    /// The tool, as the model is told.
    pub spec: ToolSpec,
    /// Whether it is a core tool, always on.
    pub is_core: bool,
    /// Whether the agent may use it.
    pub enabled: bool,
}

/// The tools that there are, with the settings of a version; a setting for a tool that is not there has no effect.
pub fn offered(settings: &Settings) -> Vec<Offered> {
    crate::tools::core()
        .specs()
        .into_iter()
        .map(|spec| {
            let is_core = CORE_TOOLS.contains(&spec.name.as_str());
            let is_set = settings.get(&spec.name).is_some_and(|setting| setting.enabled);
            Offered {
                enabled: is_core || is_set,
                is_core,
                spec,
            }
        })
        .collect()
}
