//! Changing an agent. A change of the prompt, model, MCP servers, tools, skills, memory or approvals creates a new
//! version; a change of any other field, such as the name or icon, does not.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel};
use uuid::Uuid;

use super::{
    Agent,
    approvals::Approvals,
    create, default,
    list::{folded, load},
    mcp::{self, Server, headers},
    memory::MemorySettings,
    rules::{self, json},
    table::agent,
    tools::{self, Settings},
    version::{self, Content},
};
use crate::{
    accounts::{Account, Caller, ensure, queue},
    app::App,
    error::{Code, Error, Result},
    skills::{Attached, attached},
};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Change<T> {
    #[default]
    Keep,
    Clear,
    Set(T),
}

impl<T> Change<T> {
    /// Returns `None` for `Keep`.
    fn value(self, default: impl FnOnce() -> T) -> Option<T> {
        match self {
            Self::Keep => None,
            Self::Clear => Some(default()),
            Self::Set(value) => Some(value),
        }
    }

    fn check(&self, rule: impl FnOnce(&T) -> Result<()>) -> Result<()> {
        match self {
            Self::Set(value) => rule(value),
            Self::Keep | Self::Clear => Ok(()),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct AgentChange {
    /// `Clear` is refused, because an agent must have a name.
    pub name: Change<String>,
    pub description: Change<String>,
    pub is_default: Change<bool>,
    /// The label "public" grants no access.
    pub is_public: Change<bool>,
    pub icon_name: Change<String>,
    pub icon_color: Change<String>,
    pub icon_background: Change<String>,
    pub tags: Change<Vec<String>>,
    pub content: ContentChange,
    /// Version that the caller expects to be current; `None` for any version.
    pub expected_version_id: Option<Uuid>,
}

/// Fields of an agent's version. Changing one of them creates a new version.
#[derive(Clone, Debug, Default)]
pub struct ContentChange {
    pub system_prompt: Change<String>,
    pub model: Change<String>,
    pub configured_mcps: Change<Vec<Server>>,
    pub custom_mcps: Change<Vec<Server>>,
    pub tools: Change<Settings>,
    pub skills: Change<Vec<Attached>>,
    pub memory: Change<MemorySettings>,
    pub approvals: Change<Approvals>,
}

/// If all new values equal the current values, nothing is written.
///
/// # Errors
/// `AGENT_NOT_FOUND`; INVALID_REQUEST with the name of the invalid field; UNKNOWN_MODEL; CONTENDED if the current
/// version is not the expected one.
pub async fn update(app: &App, caller: &Caller, agent_id: Uuid, change: AgentChange) -> Result<Agent> {
    check(app, &change)?;
    let now = app.clock.now();
    // Refuse an agent of another account before locking the caller's account.
    load(app.db.read(), caller.scope(), agent_id).await?;
    let tx = queue::begin(app, caller.account_id, "agents.update").await?;
    // While the account is locked, no other writer can create the same version number or another default agent.
    let account = ensure::lock(&tx, caller.account_id).await?;
    let before = load(&tx, caller.scope(), agent_id).await?;
    if change
        .expected_version_id
        .is_some_and(|expected| expected != before.row.current_version_id)
    {
        let message = "the agent has changed: another version is current; load the agent and retry";
        return Err(Error::new(Code::Contended, message));
    }
    let old = Content::of(&before.version)?;
    let new = change.content.clone().over(app, &account, old.clone())?;
    if new.skills != old.skills {
        attached::check_known(&tx, caller.scope(), &new.skills).await?;
    }
    let mut row = apply(before.row.clone(), change)?;
    let mut current = before.version.clone();
    if new != old {
        current = version::add(&tx, &mut row, &new, now).await?;
    }
    if row == before.row {
        return Ok(before);
    }
    if row.is_default && !before.row.is_default {
        default::unset(&tx, caller.scope(), now).await?;
    }
    write(&tx, &mut row, now).await?;
    tx.commit().await?;
    Ok(Agent { row, version: current })
}

/// Writes all columns, after setting `updated_at` and `search_text`.
pub(super) async fn write(tx: &crate::db::Tx, row: &mut agent::Model, now: DateTime<Utc>) -> Result<()> {
    row.updated_at = now;
    row.search_text = folded(&row.name, row.description.as_deref());
    agent::Entity::update(row.clone().into_active_model().reset_all())
        .exec(tx)
        .await?;
    Ok(())
}

fn check(app: &App, change: &AgentChange) -> Result<()> {
    match &change.name {
        Change::Keep => {}
        Change::Clear => rules::name("")?,
        Change::Set(name) => rules::name(name)?,
    }
    change.description.check(|text| rules::description(text))?;
    change.icon_name.check(|name| rules::icon_name(name))?;
    change.icon_color.check(|value| rules::colour("icon_color", value))?;
    change
        .icon_background
        .check(|value| rules::colour("icon_background", value))?;
    change.tags.check(|tags| rules::tags(tags))?;
    change.content.check(app)
}

fn apply(mut row: agent::Model, change: AgentChange) -> Result<agent::Model> {
    let AgentChange {
        name,
        description,
        is_default,
        is_public,
        icon_name,
        icon_color,
        icon_background,
        tags,
        content: _,
        expected_version_id: _,
    } = change;
    let set = |field: &mut String, change: Change<String>, default: &str| {
        if let Some(value) = change.value(|| default.to_owned()) {
            *field = value;
        }
    };
    if let Change::Set(name) = name {
        row.name = name;
    }
    match description {
        Change::Keep => {}
        Change::Clear => row.description = None,
        Change::Set(text) => row.description = Some(text),
    }
    row.is_default = is_default.value(|| false).unwrap_or(row.is_default);
    row.is_public = is_public.value(|| false).unwrap_or(row.is_public);
    set(&mut row.icon_name, icon_name, create::ICON_NAME);
    set(&mut row.icon_color, icon_color, create::ICON_COLOR);
    set(&mut row.icon_background, icon_background, create::ICON_BACKGROUND);
    if let Some(tags) = tags.value(Vec::new) {
        row.tags = json(&tags)?;
    }
    Ok(row)
}

impl ContentChange {
    /// Checks each new value by itself. [`Self::over`] checks the two lists of MCP servers together.
    pub(super) fn check(&self, app: &App) -> Result<()> {
        self.system_prompt.check(|text| rules::system_prompt(text))?;
        self.model.check(|name| rules::model(app, name))?;
        self.configured_mcps
            .check(|servers| mcp::check(app, "configured_mcps", servers))?;
        self.custom_mcps
            .check(|servers| mcp::check(app, "custom_mcps", servers))?;
        self.skills.check(|skills| attached::check(skills))?;
        self.approvals.check(Approvals::check)?;
        self.tools.check(|settings| tools::merged(settings.clone()).map(drop))
    }

    /// Applies the change to the content `old`. Fails if a server's name is not unique, the servers are too large, or
    /// a placeholder has no stored value.
    pub(super) fn over(self, app: &App, account: &Account, old: Content) -> Result<Content> {
        let tier = app.tiers.load(&account.tier);
        let stored = [old.configured_mcps.as_slice(), &old.custom_mcps].concat();
        let changes_servers = self.configured_mcps != Change::Keep || self.custom_mcps != Change::Keep;
        let default_prompt = || crate::engine::prompt::DEFAULT_SYSTEM_PROMPT.to_owned();
        let mut new = Content {
            system_prompt: self.system_prompt.value(default_prompt).unwrap_or(old.system_prompt),
            model: self.model.value(|| tier.default_model.clone()).unwrap_or(old.model),
            configured_mcps: self.configured_mcps.value(Vec::new).unwrap_or(old.configured_mcps),
            custom_mcps: self.custom_mcps.value(Vec::new).unwrap_or(old.custom_mcps),
            tools: match self.tools.value(Settings::new) {
                Some(settings) => tools::merged(settings)?,
                None => old.tools,
            },
            skills: self.skills.value(Vec::new).unwrap_or(old.skills),
            memory: self.memory.value(MemorySettings::default).unwrap_or(old.memory),
            approvals: self.approvals.value(Approvals::default).unwrap_or(old.approvals),
        };
        if changes_servers {
            mcp::check_together(&new.configured_mcps, &new.custom_mcps)?;
            for servers in [&mut new.configured_mcps, &mut new.custom_mcps] {
                headers::seal(&app.secrets, account.id, servers, &stored)?;
            }
        }
        Ok(new)
    }
}
