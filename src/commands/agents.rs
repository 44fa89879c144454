//! `runyard agents`: lists, creates and shows agents.

use clap::{Args, Subcommand};

use super::{
    Outcome,
    listing::{Printer, Rows, table},
    output::{cut, one_line, remark},
    settings::Settings,
};
use runyard_client::Client;
use uuid::Uuid;

use crate::{
    error::{Code, Error, Result},
    v1::{Agent, CreateAgentRequest},
};

/// List, create and show agents.
#[derive(Args, Debug)]
pub(super) struct Agents {
    #[command(flatten)]
    rows: Rows,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List your agents.
    List,
    /// Create an agent and print its id.
    Create(Create),
    /// Show an agent.
    Show {
        /// Id or name of the agent.
        agent: String,
    },
}

#[derive(Args, Debug)]
struct Create {
    /// Name of the agent, 2 to 100 characters.
    name: String,
    /// Description of the agent.
    #[arg(long)]
    description: Option<String>,
    /// System prompt [default: the built-in prompt].
    #[arg(long)]
    system_prompt: Option<String>,
    /// Model [default: the default model of your plan].
    #[arg(long)]
    model: Option<String>,
    /// Use this agent for runs that do not name an agent.
    #[arg(long)]
    default: bool,
}

impl Agents {
    pub(super) async fn execute(self, settings: &Settings) -> Result<Outcome> {
        self.rows
            .print(settings, async |client, printer| {
                act(client, self.action, printer).await
            })
            .await
    }
}

async fn act(client: &Client, action: Action, printer: &mut Printer) -> Result<()> {
    match action {
        Action::List => {
            let agents = client.list_agents().await?;
            if agents.is_empty() {
                remark("you have no agents; runs use the built-in agent. Create one with `runyard agents create NAME`");
            }
            for agent in agents {
                printer.print(&agent, summary)?;
            }
        }
        Action::Create(create) => {
            let agent = client.create_agent(create.into_request()).await?;
            printer.print(&agent, |agent| agent.agent_id.clone())?;
        }
        Action::Show { agent } => {
            let agent_id = find_agent_id(client, &agent).await?;
            printer.print(&client.load_agent(&agent_id).await?, details)?;
        }
    }
    Ok(())
}

/// Returns the id of the agent with this id or name. The server checks whether an agent with this id exists.
pub(super) async fn find_agent_id(client: &Client, agent: &str) -> Result<String> {
    if Uuid::try_parse(agent).is_ok() {
        return Ok(agent.to_owned());
    }
    let mut found = client.find_agents(agent).await?;
    let name = one_line(agent);
    match (found.len(), found.pop()) {
        (1, Some(agent)) => Ok(agent.agent_id),
        (0, _) | (_, None) => Err(Error::new(
            Code::AgentNotFound,
            format!("no agent has the name {name}; `runyard agents list` shows your agents"),
        )),
        (_, Some(_)) => Err(Error::invalid(format!(
            "several agents have the name {name}; use the id of the agent"
        ))),
    }
}

impl Create {
    fn into_request(self) -> CreateAgentRequest {
        CreateAgentRequest {
            name: self.name,
            description: self.description,
            system_prompt: self.system_prompt,
            model: self.model,
            is_default: self.default,
            ..CreateAgentRequest::default()
        }
    }
}

fn summary(agent: &Agent) -> String {
    let model = agent.current_version.as_ref().map_or("", |version| &version.model);
    let mark = if agent.is_default { "  (default)" } else { "" };
    format!(
        "{}  {:<30}  {}{mark}",
        agent.agent_id,
        cut(&one_line(&agent.name), 30),
        one_line(model)
    )
}

fn details(agent: &Agent) -> String {
    let version = agent.current_version.clone().unwrap_or_default();
    let tools: Vec<_> = version
        .agentpress_tools
        .iter()
        .filter(|(_, tool)| tool.enabled)
        .map(|(name, _)| name.as_str())
        .collect();
    table(&[
        ("id", agent.agent_id.as_str()),
        ("name", &agent.name),
        ("description", agent.description.as_deref().unwrap_or("")),
        ("default", if agent.is_default { "yes" } else { "no" }),
        ("version", &version.version_name),
        ("model", &version.model),
        ("tools", &tools.join(", ")),
        ("system prompt", &version.system_prompt),
    ])
}
