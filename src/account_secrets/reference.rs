//! Inserts the secrets of an account where a text refers to them.

use async_trait::async_trait;
use secrecy::SecretString;
use uuid::Uuid;

use super::{context, list};
use crate::{
    accounts::Scope,
    app::App,
    secrets::references::{Divided, Filled, SecretSource},
};

/// The chooser of the host to which a secret is sent.
#[derive(Clone, Copy)]
enum Chooser {
    /// The owner of an agent. A secret without hosts may be sent to all.
    Owner,
    /// A command, and therefore the model. A secret is sent only to the hosts that it lists.
    Command,
}

/// Replaces the references in a text by the values of the account's secrets, for a request to `host`, which the owner of
/// an agent chose.
///
/// # Errors
/// A text for the owner of the agent, without values.
pub async fn fill(app: &App, account_id: Uuid, host: &str, text: &SecretString) -> Result<Filled, String> {
    fill_for(app, account_id, (host, Chooser::Owner), text).await
}

async fn fill_for(app: &App, account_id: Uuid, to: (&str, Chooser), text: &SecretString) -> Result<Filled, String> {
    let divided = Divided::new(text)?;
    let mut values = Vec::with_capacity(divided.names.len());
    for name in &divided.names {
        values.push(reveal(app, account_id, to, name).await?);
    }
    Ok(divided.fill(values))
}

/// The secrets of an account, for the commands of its runs.
pub struct ForCommands {
    pub app: App,
    pub account_id: Uuid,
}

#[async_trait]
impl SecretSource for ForCommands {
    async fn fill(&self, host: &str, text: &SecretString) -> Result<Filled, String> {
        fill_for(&self.app, self.account_id, (host, Chooser::Command), text).await
    }
}

async fn reveal(
    app: &App,
    account_id: Uuid,
    (host, chooser): (&str, Chooser),
    name: &str,
) -> Result<SecretString, String> {
    let found = list::named(app.db.read(), Scope::account(account_id), name).await;
    let found = found.map_err(|error| format!("the secret {name:?} cannot be loaded: {}", error.message()))?;
    let secret = found.ok_or_else(|| format!("the secret {name:?} does not exist"))?;
    let mut hosts = secret.hosts.split_whitespace().peekable();
    match (hosts.peek(), chooser) {
        (None, Chooser::Owner) => {}
        (None, Chooser::Command) => {
            return Err(format!(
                "the secret {name:?} has no hosts; commands can use it only if its hosts contain {host}"
            ));
        }
        (Some(_), _) => {
            if !hosts.any(|permitted| permitted == host) {
                return Err(format!("the secret {name:?} may not be sent to {host}"));
            }
        }
    }
    let value = app.secrets.open_sealed(&context(account_id, name), &secret.value);
    value.ok_or_else(|| format!("the secret {name:?} cannot be decrypted; save its value again"))
}
