//! `runyard admin`: lists, suspends and changes accounts.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};
use prost_types::Timestamp;
use runyard_client::Client;
use uuid::Uuid;

use super::{
    Outcome,
    connection::{Connection, needs_administrator},
    listing::{PAGE, Printer, table, time},
    output::{cut, one_line},
    settings::Settings,
};
use crate::{
    error::{Code, Error, Result},
    id,
    v1::{Account, GrantCreditsRequest, ListAccountUsageRequest, ListAccountsRequest, UsageEntry},
};

/// Administer accounts: list, suspend, resume, change the plan, grant credits, show the usage.
///
/// Requires an administrator: run this in the folder where you run the server, or use a token with the role super_admin.
/// ACCOUNT is an id or a subject.
#[derive(Args, Debug)]
pub(super) struct Admin {
    #[command(flatten)]
    connection: Connection,
    /// Print a JSON object per line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List accounts, newest first.
    List(List),
    /// Show an account.
    Show(Target),
    /// Refuse the calls of an account and stop its runs. Nothing is deleted.
    Suspend {
        #[command(flatten)]
        target: Target,
        /// Reason, for the audit log.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// End the suspension of an account.
    Resume(Target),
    /// Change the plan (tier) of an account.
    Tier {
        #[command(flatten)]
        target: Target,
        /// Name of the new plan.
        tier: String,
    },
    /// Add credits to an account.
    Grant {
        #[command(flatten)]
        target: Target,
        /// Number of credits.
        credits: i64,
        /// Reason, for the audit log.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// List the model calls of an account, newest first.
    Usage {
        #[command(flatten)]
        target: Target,
        /// Maximum number of lines.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
}

#[derive(Args, Debug)]
struct Target {
    /// Id or subject of the account.
    #[arg(value_name = "ACCOUNT", value_parser = NonEmptyStringValueParser::new())]
    account: String,
    /// Issuer of the subject, if several issuers have it.
    #[arg(long)]
    issuer: Option<String>,
}

#[derive(Args, Debug)]
#[group(multiple = false)]
struct Filters {
    /// Only accounts whose subject begins with this text.
    #[arg(long, value_name = "TEXT")]
    subject_prefix: Option<String>,
    /// Only accounts on this plan (tier).
    #[arg(long)]
    tier: Option<String>,
    /// Only suspended accounts.
    #[arg(long)]
    suspended: bool,
    /// Only accounts that started a run since this time, such as 2026-11-28T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    active_since: Option<DateTime<Utc>>,
    /// Only accounts that have started no run since this time.
    #[arg(long, value_name = "TIME")]
    inactive_since: Option<DateTime<Utc>>,
}

#[derive(Args, Debug)]
struct List {
    #[command(flatten)]
    filters: Filters,
    /// Maximum number of lines.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

impl Admin {
    pub(super) async fn execute(self, settings: &Settings) -> Result<Outcome> {
        let connected = self.connection.open_as_administrator(settings).await?;
        let outcome = act(&connected.client, self.action, &mut Printer::new(self.json)?).await;
        connected.explain(outcome).map_err(needs_administrator)?;
        Ok(Outcome::Success)
    }
}

async fn act(client: &Client, action: Action, printer: &mut Printer) -> Result<()> {
    let account = match action {
        Action::List(list) => return list.print(client, printer).await,
        Action::Show(target) => target.find(client).await?,
        Action::Suspend { target, reason } => {
            let account_id = target.find(client).await?.account_id;
            client.suspend_account(&account_id, &reason).await?
        }
        Action::Resume(target) => client.resume_account(&target.find(client).await?.account_id).await?,
        Action::Tier { target, tier } => {
            let account_id = target.find(client).await?.account_id;
            client.set_account_tier(&account_id, &tier).await?
        }
        Action::Grant {
            target,
            credits,
            reason,
        } => {
            let request = GrantCreditsRequest {
                account_id: target.find(client).await?.account_id,
                credits,
                request_id: id::new().to_string(),
                reason,
            };
            client.grant_credits(request).await?
        }
        Action::Usage { target, limit } => {
            let account_id = target.find(client).await?.account_id;
            return usage(client, printer, account_id, limit).await;
        }
    };
    printer.print(&account, details)
}

impl Target {
    async fn find(self, client: &Client) -> Result<Account> {
        if Uuid::try_parse(&self.account).is_ok() {
            return Ok(client.load_account(&self.account).await?);
        }
        let request = ListAccountsRequest {
            subject: self.account.clone(),
            page_size: PAGE,
            ..ListAccountsRequest::default()
        };
        let mut found = client.list_accounts(request).await?.accounts;
        if let Some(issuer) = &self.issuer {
            found.retain(|account| account.issuer == *issuer);
        }
        let subject = one_line(&self.account);
        match (found.len(), found.pop()) {
            (1, Some(account)) => Ok(account),
            (0, _) | (_, None) => Err(Error::new(
                Code::AccountNotFound,
                format!("no account has the subject {subject}; `runyard admin list` shows all accounts"),
            )),
            (_, Some(_)) => Err(Error::invalid(format!(
                "several accounts have the subject {subject}; name the issuer with --issuer, or the id of the account"
            ))),
        }
    }
}

impl List {
    async fn print(self, client: &Client, printer: &mut Printer) -> Result<()> {
        let timestamp = |time: Option<DateTime<Utc>>| {
            time.map(|time| Timestamp {
                seconds: time.timestamp(),
                nanos: 0,
            })
        };
        let filters = self.filters;
        let mut request = ListAccountsRequest {
            subject_prefix: filters.subject_prefix.unwrap_or_default(),
            tier_name: filters.tier.unwrap_or_default(),
            suspended: filters.suspended,
            active_after: timestamp(filters.active_since),
            active_before: timestamp(filters.inactive_since),
            ..ListAccountsRequest::default()
        };
        let load = async |page_size, page_token| {
            (request.page_size, request.page_token) = (page_size, page_token);
            let page = client.list_accounts(request.clone()).await?;
            Ok((page.accounts, page.next_page_token))
        };
        printer
            .pages(self.limit, "there are no such accounts", summary, load)
            .await
    }
}

async fn usage(client: &Client, printer: &mut Printer, account_id: String, limit: u32) -> Result<()> {
    let mut request = ListAccountUsageRequest {
        account_id,
        ..ListAccountUsageRequest::default()
    };
    let load = async |page_size, page_token| {
        (request.page_size, request.page_token) = (page_size, page_token);
        let page = client.list_account_usage(request.clone()).await?;
        Ok((page.entries, page.next_page_token))
    };
    printer.pages(limit, "the account has no charges", charge, load).await
}

fn summary(account: &Account) -> String {
    let state = if account.suspended_at.is_some() {
        "suspended"
    } else {
        ""
    };
    let line = format!(
        "{}  {:<30}  {:<12}  {:>12.2}  {}  {state}",
        account.account_id,
        cut(&one_line(&account.subject), 30),
        cut(&one_line(&account.tier_name), 12),
        account.credits,
        time(account.last_active_at),
    );
    line.trim_end().to_owned()
}

fn charge(entry: &UsageEntry) -> String {
    format!(
        "{}  {:<30}  {:>10} in  {:>8} out  {:>12.4} credits  {}",
        time(entry.created_at),
        cut(&one_line(&entry.model_name), 30),
        entry.input_tokens,
        entry.output_tokens,
        entry.credits,
        entry.agent_run_id,
    )
    .trim_end()
    .to_owned()
}

fn details(account: &Account) -> String {
    let suspended = match account.suspended_at {
        Some(at) => format!("since {} {}", time(Some(at)), account.suspended_reason),
        None => "no".to_owned(),
    };
    table(&[
        ("account", &account.account_id),
        ("subject", &account.subject),
        ("issuer", &account.issuer),
        ("tier", &account.tier_name),
        ("credits", &account.credits.to_string()),
        ("created", &time(account.created_at)),
        ("last active", &time(account.last_active_at)),
        ("suspended", &suspended),
    ])
}
