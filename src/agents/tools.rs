//! The tools of an agent, and the rules that decide whether a run may use a tool.
//!
//! An agent always has the core tools (`tools::core`) and the tools that belong to them (`tools::leader`), and can switch
//! groups of other tools on and off ([`GROUPS`]). The mode of a run can exclude any tool. Only [`Access::allows`]
//! applies these rules to a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ask, memory, subagents, version::Content, web};
use crate::{
    app::App,
    config::Mode,
    error::{Error, Result},
    llm::ToolSpec,
    skills, tools,
};

const FIELD: &str = "agentpress_tools";

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Setting {
    pub enabled: bool,
}

/// Settings by the name of a core tool or a group.
pub type Settings = BTreeMap<String, Setting>;

/// A group of tools that an agent can switch on and off.
struct Group {
    name: &'static str,
    tools: &'static [&'static str],
    /// Whether an agent without a setting for the group has these tools.
    default: bool,
    /// If the list is empty, this server does not offer the group.
    specs: fn(&App) -> Vec<ToolSpec>,
    /// Whether the other settings of the version permit these tools. Memory tools, for example, need memory to be
    /// enabled.
    applies: fn(&Content) -> bool,
}

const GROUPS: &[Group] = &[
    Group {
        name: "ask_user",
        tools: &[ask::NAME],
        // Off, because a program that starts runs usually cannot answer questions.
        default: false,
        specs: |_| vec![ask::spec()],
        applies: |_| true,
    },
    Group {
        name: "memory",
        tools: &memory::NAMES,
        default: true,
        specs: |_| memory::specs().into(),
        applies: |content| content.memory.enabled,
    },
    Group {
        name: "skills",
        tools: &[skills::tool::NAME],
        default: true,
        specs: |_| vec![skills::tool::spec()],
        applies: |content| !content.skills.is_empty(),
    },
    Group {
        name: "task",
        tools: &[subagents::NAME],
        // Off, because a subagent can do more than its parent.
        default: false,
        specs: |_| vec![subagents::spec()],
        applies: |_| true,
    },
    Group {
        name: "web_fetch",
        tools: &[web::FETCH],
        default: true,
        specs: |app| web::fetch(&app.config.web).into_iter().collect(),
        applies: |_| true,
    },
    Group {
        name: "web_search",
        tools: &[web::SEARCH],
        default: true,
        specs: |app| web::search(&app.config.web).into_iter().collect(),
        applies: |_| true,
    },
];

/// Returns whether this is the name of one of Runyard's own tools.
pub fn is_built_in(name: &str) -> bool {
    GROUPS.iter().any(|group| group.tools.contains(&name)) || tools::built_in().find(name).is_some()
}

fn offered_groups(app: &App) -> impl Iterator<Item = (&'static Group, Vec<ToolSpec>)> {
    let groups = GROUPS.iter().map(|group| (group, (group.specs)(app)));
    groups.filter(|(_, specs)| !specs.is_empty())
}

fn is_on(settings: &Settings, group: &Group) -> bool {
    settings
        .get(group.name)
        .map_or(group.default, |setting| setting.enabled)
}

/// Adds the core tools to the requested settings.
///
/// # Errors
/// INVALID_REQUEST for a name that is neither a core tool nor a group; the message lists the names.
pub fn merged(requested: Settings) -> Result<Settings> {
    let core = tools::core();
    let names: Vec<&str> = core.names().chain(GROUPS.iter().map(|group| group.name)).collect();
    if let Some(name) = requested.keys().find(|name| !names.contains(&name.as_str())) {
        return Err(Error::invalid_field(
            FIELD,
            format!(
                "agentpress_tools: there is no tool {name:?}; the names are {}",
                names.join(", ")
            ),
        ));
    }
    let mut settings = requested;
    for name in core.names() {
        settings.insert(name.to_owned(), Setting { enabled: true });
    }
    Ok(settings)
}

/// The mode of a run and the tool settings of its agent.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    pub mode: &'a Mode,
    /// Empty for the built-in agent.
    pub settings: &'a Settings,
}

impl Access<'_> {
    /// `tool` may come from any source, such as an MCP server.
    pub fn allows(self, tool: &str) -> bool {
        let tool = tools::leader(tool);
        let group = GROUPS.iter().find(|group| group.tools.contains(&tool));
        let is_on = group.is_none_or(|group| is_on(self.settings, group));
        is_on && self.mode.allows(tool)
    }

    /// A run needs the sandbox if it may use a core tool.
    pub fn allows_sandbox(self) -> bool {
        tools::core().names().any(|name| self.allows(name))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Offered {
    pub spec: ToolSpec,
    pub is_core: bool,
    pub enabled: bool,
}

/// `enabled` is true if the agent's current version gives its runs the tool.
///
/// # Errors
/// INTERNAL if a stored field of the version cannot be decoded.
pub fn offered(app: &App, agent: &super::Agent) -> Result<Vec<Offered>> {
    let content = Content::of(&agent.version)?;
    let built_in = tools::built_in();
    let mut offered: Vec<Offered> = built_in
        .specs()
        .into_iter()
        .map(|spec| Offered {
            enabled: true,
            is_core: true,
            spec,
        })
        .collect();
    for (group, specs) in offered_groups(app) {
        let enabled = is_on(&content.tools, group) && (group.applies)(&content);
        offered.extend(specs.into_iter().map(|spec| Offered {
            spec,
            is_core: false,
            enabled,
        }));
    }
    Ok(offered)
}

#[cfg(test)]
mod tests {
    use super::is_built_in;

    #[test]
    fn tools_of_mcp_servers_are_not_built_in() {
        for name in ["bash", "bash_output", "read", "recall", "web_fetch", "task"] {
            assert!(is_built_in(name), "{name}");
        }
        assert!(!is_built_in("weather_today"));
    }
}
