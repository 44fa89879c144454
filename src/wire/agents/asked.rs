//! Converts request messages to changes of an agent.

use std::collections::BTreeMap;

use super::super::mask::Mask;
use crate::{
    agents::{
        AgentChange, ContentChange, MemoryScope, MemorySettings, NewAgent,
        approvals::{Approvals, Decision, Rule},
        mcp::{self, headers::Header},
        tools,
    },
    error::{Error, Result},
    id,
    skills::Attached,
    v1,
};

/// Fields that an update mask may contain, although they never change.
const IDS: [&str; 2] = ["agent_id", "expected_version_id"];

const FIELDS: [&str; 16] = [
    "name",
    "description",
    "is_default",
    "icon_name",
    "icon_color",
    "icon_background",
    "system_prompt",
    "configured_mcps",
    "custom_mcps",
    "agentpress_tools",
    "skills",
    "memory",
    "approvals",
    "model",
    "tags",
    "is_public",
];

/// The fields of a version. Changing any of them creates a new version.
const CONTENT: [&str; 8] = [
    "system_prompt",
    "model",
    "configured_mcps",
    "custom_mcps",
    "agentpress_tools",
    "skills",
    "memory",
    "approvals",
];

/// Converts an update. Its mask may contain only [`FIELDS`] and [`IDS`].
pub(super) fn change(asked: v1::UpdateAgentRequest) -> Result<AgentChange> {
    let mask = Mask::read(asked.update_mask, "an agent", &IDS, &FIELDS)?;
    let expected = asked.expected_version_id.as_deref().unwrap_or_default();
    Ok(AgentChange {
        name: mask.change("name", asked.name),
        description: mask.change("description", asked.description),
        is_default: mask.change("is_default", asked.is_default),
        is_public: mask.change("is_public", asked.is_public),
        icon_name: mask.change("icon_name", asked.icon_name),
        icon_color: mask.change("icon_color", asked.icon_color),
        icon_background: mask.change("icon_background", asked.icon_background),
        tags: mask.change("tags", filled(asked.tags)),
        content: ContentChange {
            system_prompt: mask.change("system_prompt", asked.system_prompt),
            model: mask.change("model", asked.model),
            configured_mcps: mask.change(
                "configured_mcps",
                filled(servers("configured_mcps", asked.configured_mcps)?),
            ),
            custom_mcps: mask.change("custom_mcps", filled(servers("custom_mcps", asked.custom_mcps)?)),
            tools: mask.change("agentpress_tools", some_settings(asked.agentpress_tools)),
            skills: mask.change("skills", filled(skills(asked.skills))),
            memory: mask.change("memory", asked.memory.map(memory).transpose()?),
            approvals: mask.change("approvals", asked.approvals.map(approvals).transpose()?),
        },
        expected_version_id: id::parse_optional("expected_version_id", expected)?,
    })
}

/// Converts a new version. Its mask may contain only [`CONTENT`] and [`IDS`].
pub(super) fn new_version(asked: v1::CreateAgentVersionRequest) -> Result<ContentChange> {
    let mask = Mask::read(asked.update_mask, "an agent version", &IDS, &CONTENT)?;
    Ok(ContentChange {
        system_prompt: mask.change("system_prompt", asked.system_prompt),
        model: mask.change("model", asked.model),
        configured_mcps: mask.change(
            "configured_mcps",
            filled(servers("configured_mcps", asked.configured_mcps)?),
        ),
        custom_mcps: mask.change("custom_mcps", filled(servers("custom_mcps", asked.custom_mcps)?)),
        tools: mask.change("agentpress_tools", some_settings(asked.agentpress_tools)),
        skills: mask.change("skills", filled(skills(asked.skills))),
        memory: mask.change("memory", asked.memory.map(memory).transpose()?),
        approvals: mask.change("approvals", asked.approvals.map(approvals).transpose()?),
    })
}

fn filled<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn some_settings(asked: BTreeMap<String, v1::ToolSetting>) -> Option<tools::Settings> {
    (!asked.is_empty()).then(|| settings(asked))
}

fn settings(asked: BTreeMap<String, v1::ToolSetting>) -> tools::Settings {
    let setting = |setting: v1::ToolSetting| tools::Setting {
        enabled: setting.enabled,
    };
    asked.into_iter().map(|(name, asked)| (name, setting(asked))).collect()
}

fn memory(asked: v1::MemorySettings) -> Result<MemorySettings> {
    let scope = match v1::MemoryScope::try_from(asked.scope) {
        Ok(v1::MemoryScope::Agent | v1::MemoryScope::Unspecified) => MemoryScope::Agent,
        Ok(v1::MemoryScope::Account) => MemoryScope::Account,
        Err(_) => {
            return Err(Error::invalid_field("memory", "memory.scope must be agent or account"));
        }
    };
    Ok(MemorySettings {
        enabled: asked.enabled,
        scope,
    })
}

fn approvals(asked: v1::ApprovalSettings) -> Result<Approvals> {
    let wrong = |message: &str| Error::invalid_field("approvals", message.to_owned());
    let rule = |rule: v1::ToolRule| {
        let decision = match rule.decision() {
            v1::ToolDecision::Auto => Decision::Auto,
            v1::ToolDecision::Ask => Decision::Ask,
            v1::ToolDecision::Deny => Decision::Deny,
            v1::ToolDecision::Unspecified => return Err(wrong("the decision of a rule must be auto, ask or deny")),
        };
        Ok(Rule {
            tool: rule.tool,
            decision,
            commands: rule.commands,
        })
    };
    let seconds = asked.expires_after_seconds.map(u32::try_from).transpose();
    Ok(Approvals {
        rules: asked.rules.into_iter().map(rule).collect::<Result<_>>()?,
        expires_after_seconds: seconds.map_err(|_| wrong("expires_after_seconds must not be negative"))?,
        fail_on_expiry: asked.fail_on_expiry,
    })
}

pub(super) fn new_agent(asked: v1::CreateAgentRequest) -> Result<NewAgent> {
    Ok(NewAgent {
        name: asked.name,
        description: asked.description,
        is_default: asked.is_default,
        is_public: asked.is_public,
        icon_name: asked.icon_name,
        icon_color: asked.icon_color,
        icon_background: asked.icon_background,
        system_prompt: asked.system_prompt,
        model: asked.model,
        configured_mcps: servers("configured_mcps", asked.configured_mcps)?,
        custom_mcps: servers("custom_mcps", asked.custom_mcps)?,
        tools: settings(asked.agentpress_tools),
        skills: skills(asked.skills),
        memory: asked.memory.map(memory).transpose()?.unwrap_or_default(),
        approvals: asked.approvals.map(approvals).transpose()?.unwrap_or_default(),
        tags: asked.tags,
    })
}

fn skills(asked: Vec<v1::AgentSkill>) -> Vec<Attached> {
    let attached = |skill: v1::AgentSkill| Attached {
        name: skill.name,
        version: skill.version,
    };
    asked.into_iter().map(attached).collect()
}

fn servers(field: &'static str, asked: Vec<v1::McpServer>) -> Result<Vec<mcp::Server>> {
    asked.into_iter().map(|asked| server(field, asked)).collect()
}

pub(super) fn server(field: &'static str, asked: v1::McpServer) -> Result<mcp::Server> {
    let transport = match asked.r#type() {
        v1::McpTransport::Http => mcp::Transport::Http,
        v1::McpTransport::Sse => mcp::Transport::Sse,
        v1::McpTransport::Stdio => mcp::Transport::Stdio,
        v1::McpTransport::Unspecified => {
            return Err(Error::invalid_field(
                field,
                format!("{field}: type must be http, sse or stdio"),
            ));
        }
    };
    let headers = asked.headers.into_iter();
    Ok(mcp::Server {
        name: asked.name,
        transport,
        url: asked.url,
        command: asked.command,
        args: asked.args,
        headers: headers.map(|(name, value)| (name, Header::Plain(value))).collect(),
        enabled_tools: asked.enabled_tools,
    })
}
