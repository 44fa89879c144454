//! `runyard keys`: creates, lists and revokes API keys.

use chrono::TimeDelta;
use clap::{Args, Subcommand, ValueEnum};
use prost_types::Timestamp;

use super::{
    Outcome,
    listing::{Printer, Rows, time},
    output::{cut, one_line, remark},
    settings::Settings,
};
use runyard_client::Client;

use crate::{
    clock::Clock,
    error::Result,
    v1::{ApiKey, ApiKeyScope, CreateApiKeyRequest, ListApiKeysRequest},
};

/// Create, list and revoke API keys.
#[derive(Args, Debug)]
pub(super) struct Keys {
    #[command(flatten)]
    rows: Rows,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create an API key and print its secret, which no other command shows.
    Create {
        /// Name of the key, 1 to 100 characters.
        name: String,
        /// Scope of the key. Each scope includes the scopes before it.
        #[arg(long, default_value = "run")]
        scope: Scope,
        /// Number of days after which the key expires [default: it does not expire].
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expires_in_days: Option<u32>,
    },
    /// List your API keys, without their secrets.
    List {
        /// Maximum number of lines.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// Revoke an API key immediately.
    Revoke {
        /// Id of the key.
        key_id: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scope {
    Read,
    Run,
    Admin,
}

impl Keys {
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
        Action::Create {
            name,
            scope,
            expires_in_days,
        } => {
            let expires_at = expires_in_days.map(|days| Clock::default().now() + TimeDelta::days(days.into()));
            let scope = match scope {
                Scope::Read => ApiKeyScope::Read,
                Scope::Run => ApiKeyScope::Run,
                Scope::Admin => ApiKeyScope::Admin,
            };
            let request = CreateApiKeyRequest {
                name,
                scopes: vec![scope.into()],
                expires_at: expires_at.map(|time| Timestamp {
                    seconds: time.timestamp(),
                    nanos: 0,
                }),
            };
            let created = client.create_api_key(request).await?;
            printer.print(&created, |created| created.secret.clone())?;
            let key_id = created.api_key.unwrap_or_default().key_id;
            remark(&format!("created key {key_id}; its secret is not shown again"));
            Ok(())
        }
        Action::List { limit } => {
            let load = async |page_size, page_token| {
                let page = client
                    .list_api_keys(ListApiKeysRequest { page_size, page_token })
                    .await?;
                Ok((page.api_keys, page.next_page_token))
            };
            printer
                .pages(
                    limit,
                    "you have no API keys; create one with `runyard keys create NAME`",
                    summary,
                    load,
                )
                .await
        }
        Action::Revoke { key_id } => printer.print(&client.revoke_api_key(&key_id).await?, summary),
    }
}

fn summary(key: &ApiKey) -> String {
    let scopes: Vec<_> = key
        .scopes()
        .map(|scope| match scope {
            ApiKeyScope::Read => "read",
            ApiKeyScope::Run => "run",
            ApiKeyScope::Admin => "admin",
            ApiKeyScope::Unspecified => "unknown",
        })
        .collect();
    let state = if key.revoked_at.is_some() { "revoked" } else { "" };
    format!(
        "{}  {:<30}  {}  {:<5}  {}  {state}",
        key.key_id,
        cut(&one_line(&key.name), 30),
        one_line(&key.prefix),
        scopes.join(","),
        time(key.created_at)
    )
    .trim_end()
    .to_owned()
}
