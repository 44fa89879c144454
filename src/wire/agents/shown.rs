//! Converts database rows of agents to response messages.

use uuid::Uuid;

use crate::{
    agents::{
        Agent, AgentVersion, MemoryScope, MemorySettings,
        approvals::{Approvals, Decision, Rule},
        mcp::{self, headers},
        rules::read,
        tools::{Offered, Settings},
        version::compare::Difference,
    },
    error::Result,
    events::timestamp,
    mcp::{Failure, McpTool},
    skills::Attached,
    tools::Tool,
    v1,
};

pub(super) fn agent(agent: Agent) -> Result<v1::Agent> {
    let Agent { row, version } = agent;
    let current = self::version(version, row.current_version_id)?;
    Ok(v1::Agent {
        agent_id: row.id.to_string(),
        name: row.name,
        description: row.description,
        icon_name: row.icon_name,
        icon_color: row.icon_color,
        icon_background: row.icon_background,
        is_default: row.is_default,
        is_public: row.is_public,
        tags: read(&row.tags)?,
        current_version_id: row.current_version_id.to_string(),
        version_count: row.version_count,
        configured_mcps: current.configured_mcps.clone(),
        custom_mcps: current.custom_mcps.clone(),
        agentpress_tools: current.agentpress_tools.clone(),
        current_version: Some(current),
        created_at: Some(timestamp(row.created_at)),
        updated_at: Some(timestamp(row.updated_at)),
    })
}

/// `current` is the id of the agent's current version.
pub(super) fn version(row: AgentVersion, current: Uuid) -> Result<v1::AgentVersion> {
    let settings: Settings = read(&row.tools)?;
    let setting = |enabled| v1::ToolSetting { enabled };
    Ok(v1::AgentVersion {
        is_active: row.id == current,
        version_id: row.id.to_string(),
        agent_id: row.agent_id.to_string(),
        version_number: row.number,
        version_name: format!("v{}", row.number),
        system_prompt: row.system_prompt,
        model: row.model,
        configured_mcps: shown_servers(&row.configured_mcps)?,
        custom_mcps: shown_servers(&row.custom_mcps)?,
        agentpress_tools: settings
            .into_iter()
            .map(|(name, tool)| (name, setting(tool.enabled)))
            .collect(),
        skills: read::<Vec<Attached>>(&row.skills)?
            .into_iter()
            .map(|skill| v1::AgentSkill {
                name: skill.name,
                version: skill.version,
            })
            .collect(),
        memory: Some(memory(read(&row.memory)?)),
        approvals: Some(approvals(read(&row.approvals)?)),
        created_at: Some(timestamp(row.created_at)),
        updated_at: Some(timestamp(row.updated_at)),
    })
}

fn approvals(settings: Approvals) -> v1::ApprovalSettings {
    let rule = |rule: Rule| {
        let decision = match rule.decision {
            Decision::Auto => v1::ToolDecision::Auto,
            Decision::Ask => v1::ToolDecision::Ask,
            Decision::Deny => v1::ToolDecision::Deny,
        };
        v1::ToolRule {
            tool: rule.tool,
            decision: decision.into(),
            commands: rule.commands,
        }
    };
    v1::ApprovalSettings {
        expires_after_seconds: settings
            .expires_after_seconds
            .map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX)),
        fail_on_expiry: settings.fail_on_expiry,
        rules: settings.rules.into_iter().map(rule).collect(),
    }
}

fn memory(settings: MemorySettings) -> v1::MemorySettings {
    let scope = match settings.scope {
        MemoryScope::Agent => v1::MemoryScope::Agent,
        MemoryScope::Account => v1::MemoryScope::Account,
    };
    v1::MemorySettings {
        enabled: settings.enabled,
        scope: scope.into(),
    }
}

pub(super) fn difference(difference: &Difference) -> v1::AgentVersionDifference {
    v1::AgentVersionDifference {
        field: difference.field.to_owned(),
        before: difference.before.to_string(),
        after: difference.after.to_string(),
    }
}

pub(super) fn mcp_tool(tool: &McpTool) -> v1::AgentTool {
    let spec = tool.spec();
    v1::AgentTool {
        name: spec.name,
        description: spec.description,
        is_core: false,
        enabled: true,
        parameters_schema: spec.parameters.to_string(),
        server: tool.server().to_owned(),
    }
}

pub(super) fn unavailable(failure: &Failure) -> v1::UnavailableMcpServer {
    v1::UnavailableMcpServer {
        name: failure.server.clone(),
        reason: failure.reason.clone(),
    }
}

pub(super) fn tool(tool: Offered) -> v1::AgentTool {
    v1::AgentTool {
        name: tool.spec.name,
        description: tool.spec.description,
        is_core: tool.is_core,
        enabled: tool.enabled,
        parameters_schema: tool.spec.parameters.to_string(),
        server: String::new(),
    }
}

fn shown_servers(stored: &serde_json::Value) -> Result<Vec<v1::McpServer>> {
    let servers: Vec<mcp::Server> = read(stored)?;
    let shown = |server: mcp::Server| v1::McpServer {
        name: server.name,
        r#type: match server.transport {
            mcp::Transport::Http => v1::McpTransport::Http,
            mcp::Transport::Sse => v1::McpTransport::Sse,
            mcp::Transport::Stdio => v1::McpTransport::Stdio,
        }
        .into(),
        url: server.url,
        command: server.command,
        args: server.args,
        headers: server
            .headers
            .into_keys()
            .map(|name| (name, headers::MASK.to_owned()))
            .collect(),
        enabled_tools: server.enabled_tools,
    };
    Ok(servers.into_iter().map(shown).collect())
}
