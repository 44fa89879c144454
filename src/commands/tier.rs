//! `runyard tier`: shows and changes an account's plan.

use clap::Args;

use super::{
    Outcome,
    connection::{Connection, needs_administrator},
    output::{Output, one_line},
    settings::Settings,
};
use runyard_client::Client;

use crate::{
    error::Result,
    v1::{AccountState, LimitState},
};

/// Show or change an account's plan.
///
/// Changing a plan requires an administrator: run this in the folder where you run the server, or use a token with the
/// role super_admin. `RUNYARD_LIMITS=off` turns plans off for all accounts of a server.
#[derive(Args, Debug)]
pub(super) struct Tier {
    /// Name of the new plan (tier), such as pro; without it, the current plan is shown.
    #[arg(value_name = "TIER", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// Id of the account [default: your account].
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Tier {
    pub(super) async fn execute(self, settings: &Settings) -> Result<Outcome> {
        let mut out = Output::new();
        let account_id = if let Some(account_id) = self.account {
            account_id
        } else {
            let connected = self.connection.open(settings).await?;
            let state = connected.explain(connected.client.load_account_state().await.map_err(Into::into))?;
            if self.name.is_none() {
                show(&mut out, &state)?;
                return Ok(Outcome::Success);
            }
            state.account_id
        };
        let connected = self.connection.open_as_administrator(settings).await?;
        let outcome = administer(&connected.client, &account_id, self.name.as_deref()).await;
        for line in connected.explain(outcome).map_err(needs_administrator)? {
            out.line(&line)?;
        }
        Ok(Outcome::Success)
    }
}

/// Sets the tier if `tier` is given. Returns lines that describe the account.
async fn administer(client: &Client, account_id: &str, tier: Option<&str>) -> Result<Vec<String>> {
    let account = match tier {
        Some(tier) => client.set_account_tier(account_id, tier).await?,
        None => client.load_account(account_id).await?,
    };
    Ok(vec![
        row("account", &account.account_id),
        row("subject", &account.subject),
        row("tier", &account.tier_name),
        row("credits", &account.credits.to_string()),
    ])
}

fn show(out: &mut Output, state: &AccountState) -> Result<()> {
    out.line(&row("account", &state.account_id))?;
    out.line(&row("tier", &state.tier_name))?;
    out.line(&row("credits", &state.credits.to_string()))?;
    for (name, limit) in [
        ("runs at once", &state.concurrent_runs),
        ("agents", &state.agents),
        ("threads", &state.threads),
        ("projects", &state.projects),
    ] {
        out.line(&row(name, &used(limit.unwrap_or_default())))?;
    }
    Ok(())
}

fn used(state: LimitState) -> String {
    match state.limit {
        Some(limit) => format!("{} of {limit}", state.used),
        None => format!("{}, no limit", state.used),
    }
}

fn row(name: &str, value: &str) -> String {
    format!("{name:<14}  {}", one_line(value))
}
