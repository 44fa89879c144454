//! Creating an agent with its first version.

use sea_orm::{EntityTrait, IntoActiveModel, PaginatorTrait};

use super::{
    Agent, default,
    mcp::{self, Server},
    table::{agent, version},
    tools::{self, Settings},
};
use crate::{
    accounts::{Caller, ensure, of},
    app::App,
    error::{Error, Result},
    id,
    limits::{self, Plan},
};

/// Characters of a name, at least and at most.
const NAME: std::ops::RangeInclusive<usize> = 2..=100;
/// Characters of a description at most.
const MAX_DESCRIPTION: usize = 2_000;
/// Characters of a system prompt at most.
const MAX_PROMPT: usize = 100_000;
/// Labels at most, and characters of one.
const MAX_TAGS: (usize, usize) = (20, 50);

/// What a new agent shall be.
#[derive(Clone, Debug, Default)]
pub struct NewAgent {
    /// The name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it becomes the default.
    pub is_default: bool,
    /// Whether the owner calls it public.
    pub is_public: bool,
    /// The icon; "bot" when absent.
    pub icon_name: Option<String>,
    /// Its colour; black when absent.
    pub icon_color: Option<String>,
    /// Its background; light grey when absent.
    pub icon_background: Option<String>,
    /// The system prompt; the built-in one when absent.
    pub system_prompt: Option<String>,
    /// The model; the tier's default when absent.
    pub model: Option<String>,
    /// Configured MCP integrations.
    pub configured_mcps: Vec<Server>,
    /// Custom MCP servers.
    pub custom_mcps: Vec<Server>,
    /// Tool settings.
    pub tools: Settings,
    /// Labels.
    pub tags: Vec<String>,
}

/// Creates an agent.
///
/// # Errors
/// INVALID_REQUEST naming the field, UNKNOWN_MODEL, AGENT_LIMIT_EXCEEDED.
pub async fn create(app: &App, caller: &Caller, new: NewAgent) -> Result<Agent> {
    let settings = check(app, &new)?;
    let now = app.clock.now();
    let tx = app.db.begin("agents.create").await?;
    // The account is locked first, so that two creates cannot both see the last free place.
    let account = ensure::lock(&tx, caller.account_id).await?;
    let plan = Plan {
        tier: app.tiers.load(&account.tier),
        limits: app.config.limits,
    };
    let count = of::<agent::Entity>(caller.scope()).count(&tx).await?;
    limits::admit_agent(&plan, i64::try_from(count).unwrap_or(i64::MAX))?;
    if new.is_default {
        default::unset(&tx, caller.scope(), now).await?;
    }
    let (agent_id, version_id) = (id::new(), id::new());
    let row = agent::Model {
        id: agent_id,
        account_id: caller.account_id,
        name: new.name,
        description: new.description,
        icon_name: new.icon_name.unwrap_or_else(|| "bot".to_owned()),
        icon_color: new.icon_color.unwrap_or_else(|| "#000000".to_owned()),
        icon_background: new.icon_background.unwrap_or_else(|| "#F3F4F6".to_owned()),
        is_default: new.is_default,
        is_public: new.is_public,
        tags: json(&new.tags)?,
        current_version_id: version_id,
        version_count: 1,
        created_at: now,
        updated_at: now,
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
    if new.name.is_empty() {
        return Err(Error::invalid_field("name", "Agent name is required"));
    }
    if !NAME.contains(&new.name.chars().count()) || new.name.trim().is_empty() || new.name.contains('\0') {
        return Err(Error::invalid_field("name", "Agent name must have 2 to 100 characters"));
    }
    at_most("description", new.description.as_deref(), MAX_DESCRIPTION)?;
    at_most("system_prompt", new.system_prompt.as_deref(), MAX_PROMPT)?;
    let icon = new.icon_name.as_deref().unwrap_or("bot");
    if !(1..=64).contains(&icon.len()) || !icon.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Error::invalid_field(
            "icon_name",
            "icon_name must be a name of the icon library, such as \"bot\"",
        ));
    }
    colour("icon_color", new.icon_color.as_deref())?;
    colour("icon_background", new.icon_background.as_deref())?;
    if let Some(model) = &new.model {
        app.models.load(model)?;
    }
    let (most, longest) = MAX_TAGS;
    if new.tags.len() > most
        || new
            .tags
            .iter()
            .any(|tag| tag.is_empty() || tag.chars().count() > longest || tag.contains('\0'))
    {
        return Err(Error::invalid_field(
            "tags",
            format!("tags must be at most {most} labels of 1 to {longest} characters"),
        ));
    }
    mcp::check("configured_mcps", &new.configured_mcps)?;
    mcp::check("custom_mcps", &new.custom_mcps)?;
    tools::merged(new.tools.clone())
}

fn at_most(field: &'static str, text: Option<&str>, most: usize) -> Result<()> {
    if text.is_some_and(|text| text.chars().count() > most || text.contains('\0')) {
        return Err(Error::invalid_field(
            field,
            format!("{field} must have at most {most} characters"),
        ));
    }
    Ok(())
}

fn colour(field: &'static str, value: Option<&str>) -> Result<()> {
    let fits = |value: &str| {
        value.len() == 7 && value.starts_with('#') && value[1..].bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    if value.is_some_and(|value| !fits(value)) {
        return Err(Error::invalid_field(
            field,
            format!("{field} must be a colour like #6366F1"),
        ));
    }
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|error| Error::internal("agent", error))
}
