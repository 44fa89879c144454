//! The part of the system prompt that names the secrets of the account that commands can use.

use crate::{
    account_secrets, accounts::Scope, app::App, egress::hosts::HostList, error::Result, runs::Run, sandbox::Network,
};

use super::Extra;

/// Maximum number of secrets that the prompt names.
const MAX_NAMED: u64 = 20;

/// Names the secrets that the proxy of the run's commands may send to one of its hosts.
pub(in super::super) async fn add(app: &App, run: &Run, extra: &mut Extra) -> Result<()> {
    let config = &app.config.sandbox;
    if config.network != Network::Proxy {
        return Ok(());
    }
    // The configuration was checked when it was loaded.
    let permitted = HostList::parse(&config.allowed_hosts).unwrap_or_default();
    let secrets = account_secrets::list(app.db.read(), Scope::account(run.account_id), None, MAX_NAMED).await?;
    let usable = secrets.iter().filter_map(|secret| {
        let hosts = secret.hosts.split_whitespace();
        let hosts: Vec<String> = hosts.filter_map(|host| permitted.over_tls(host)).collect();
        (!hosts.is_empty()).then(|| format!("- ${{secret:{}}} for {}", secret.name, hosts.join(", ")))
    });
    let lines: Vec<String> = usable.collect();
    if !lines.is_empty() {
        extra.sections.push(section(&lines));
    }
    Ok(())
}

fn section(lines: &[String]) -> String {
    format!(
        "# Secrets\n\nCommands can send these secrets without seeing their values:\n\n{}\n\nWrite the reference in a header of a \
         request to a URL that starts with http://, not https://, for example curl http://HOST/PATH -H 'Authorization: Bearer \
         ${{secret:NAME}}'. The proxy inserts the value and sends the request over TLS.",
        lines.join("\n")
    )
}
