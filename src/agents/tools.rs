//! Tool settings of an agent version: the core tools (`tools::core`), which are always enabled, and every other tool
//! that a request has named.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::memory::{self, MemorySettings};
use crate::{
    error::{Error, Result},
    llm::ToolSpec,
    tools,
};

/// Maximum number of tool settings in a request.
const MAX_TOOLS: usize = 100;
/// Maximum length of a tool's name in bytes.
const MAX_NAME: usize = 64;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Setting {
    pub enabled: bool,
}

/// Tool settings by tool name.
pub type Settings = BTreeMap<String, Setting>;

/// Adds the core tools to the requested settings.
///
/// # Errors
/// INVALID_REQUEST for an invalid tool name or too many tools.
pub fn merged(requested: Settings) -> Result<Settings> {
    const FIELD: &str = "agentpress_tools";
    if requested.len() > MAX_TOOLS {
        return Err(Error::invalid_field(
            FIELD,
            format!("agentpress_tools must have at most {MAX_TOOLS} entries"),
        ));
    }
    for name in requested.keys() {
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
    let mut settings = requested;
    for name in tools::core().names() {
        settings.insert(name.to_owned(), Setting { enabled: true });
    }
    Ok(settings)
}

#[derive(Clone, Debug, PartialEq)]
pub struct Offered {
    pub spec: ToolSpec,
    pub is_core: bool,
    pub enabled: bool,
}

/// Lists the core tools, which are always enabled, and the tools of memory, which the memory settings enable.
pub fn offered(memory: MemorySettings) -> Vec<Offered> {
    let core = tools::core();
    let offered = core.specs().into_iter().map(|spec| Offered {
        enabled: true,
        is_core: true,
        spec,
    });
    let of_memory = memory::specs().into_iter().map(|spec| Offered {
        enabled: memory.enabled,
        is_core: false,
        spec,
    });
    offered.chain(of_memory).collect()
}
