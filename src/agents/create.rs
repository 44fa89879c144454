//! Creating an agent. The plan limits the number of agents of an account.

use sea_orm::{EntityTrait, IntoActiveModel};

use super::{
    Agent,
    approvals::Approvals,
    default,
    list::folded,
    mcp::{self, Server, headers},
    memory::MemorySettings,
    rules::{self, json},
    table::{agent, version},
    tools::{self, Settings},
};
use crate::{
    accounts::{Caller, ensure, queue},
    app::App,
    error::Result,
    id,
    limits::{self, Plan},
    skills::{Attached, attached},
};

pub(super) const ICON_NAME: &str = "bot";
pub(super) const ICON_COLOR: &str = "#000000";
pub(super) const ICON_BACKGROUND: &str = "#F3F4F6";

#[derive(Clone, Debug, Default)]
pub struct NewAgent {
    pub name: String,
    pub description: Option<String>,
    pub is_default: bool,
    /// The label "public" grants no access.
    pub is_public: bool,
    pub icon_name: Option<String>,
    pub icon_color: Option<String>,
    pub icon_background: Option<String>,
    /// `None` for the built-in prompt.
    pub system_prompt: Option<String>,
    /// Public name of the model; `None` for the tier's default model.
    pub model: Option<String>,
    pub configured_mcps: Vec<Server>,
    pub custom_mcps: Vec<Server>,
    pub tools: Settings,
    pub skills: Vec<Attached>,
    pub memory: MemorySettings,
    pub approvals: Approvals,
    pub tags: Vec<String>,
}

/// If the new agent becomes the default, the account's previous default agent stops being the default.
///
/// # Errors
/// INVALID_REQUEST with the name of the invalid field; UNKNOWN_MODEL; AGENT_LIMIT_EXCEEDED.
pub async fn create(app: &App, caller: &Caller, mut new: NewAgent) -> Result<Agent> {
    let settings = check(app, &new)?;
    for servers in [&mut new.configured_mcps, &mut new.custom_mcps] {
        headers::seal(&app.secrets, caller.account_id, servers, &[])?;
    }
    let now = app.clock.now();
    let tx = queue::begin(app, caller.account_id, "agents.create").await?;
    // Lock the account, because two concurrent calls must not both create the last agent that the plan allows.
    let account = ensure::lock(&tx, caller.account_id).await?;
    let plan = Plan {
        tier: app.tiers.load(&account.tier),
        limits: app.config.limits,
    };
    limits::admit_agent(&plan, account.agents)?;
    attached::check_known(&tx, caller.scope(), &new.skills).await?;
    if new.is_default {
        default::unset(&tx, caller.scope(), now).await?;
    }
    let (agent_id, version_id) = (id::new(), id::new());
    let row = agent::Model {
        search_text: folded(&new.name, new.description.as_deref()),
        id: agent_id,
        account_id: caller.account_id,
        name: new.name,
        description: new.description,
        icon_name: new.icon_name.unwrap_or_else(|| ICON_NAME.to_owned()),
        icon_color: new.icon_color.unwrap_or_else(|| ICON_COLOR.to_owned()),
        icon_background: new.icon_background.unwrap_or_else(|| ICON_BACKGROUND.to_owned()),
        is_default: new.is_default,
        is_public: new.is_public,
        tags: json(&new.tags)?,
        current_version_id: version_id,
        version_count: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    let first = version::Model {
        id: version_id,
        agent_id,
        account_id: caller.account_id,
        number: 1,
        system_prompt: new
            .system_prompt
            .unwrap_or_else(|| crate::engine::prompt::DEFAULT_SYSTEM_PROMPT.to_owned()),
        model: new.model.unwrap_or_else(|| plan.tier.default_model.clone()),
        configured_mcps: json(&new.configured_mcps)?,
        custom_mcps: json(&new.custom_mcps)?,
        tools: json(&settings)?,
        skills: json(&new.skills)?,
        memory: json(&new.memory)?,
        approvals: json(&new.approvals)?,
        created_at: now,
        updated_at: now,
    };
    agent::Entity::insert(row.clone().into_active_model())
        .exec_without_returning(&tx)
        .await?;
    version::Entity::insert(first.clone().into_active_model())
        .exec_without_returning(&tx)
        .await?;
    tx.commit().await?;
    Ok(Agent { row, version: first })
}

fn check(app: &App, new: &NewAgent) -> Result<Settings> {
    let check = |text: &Option<String>, rule: fn(&str) -> Result<()>| text.as_deref().map_or(Ok(()), rule);
    rules::name(&new.name)?;
    check(&new.description, rules::description)?;
    check(&new.system_prompt, rules::system_prompt)?;
    check(&new.icon_name, rules::icon_name)?;
    check(&new.icon_color, |value| rules::colour("icon_color", value))?;
    check(&new.icon_background, |value| rules::colour("icon_background", value))?;
    if let Some(model) = &new.model {
        rules::model(app, model)?;
    }
    rules::tags(&new.tags)?;
    mcp::check(app, "configured_mcps", &new.configured_mcps)?;
    mcp::check(app, "custom_mcps", &new.custom_mcps)?;
    mcp::check_together(&new.configured_mcps, &new.custom_mcps)?;
    attached::check(&new.skills)?;
    new.approvals.check()?;
    tools::merged(new.tools.clone())
}
