//! References to secrets in texts: `${secret:NAME}`.

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{context, list};
use crate::{accounts::Scope, app::App};

const OPEN: &str = "${secret:";
const CLOSE: char = '}';
/// Replaces a value that occurs in a text.
const MASK: &str = "***";

/// A text with the values of its references.
#[derive(Debug)]
pub struct Filled {
    pub text: SecretString,
    /// The values in the text.
    pub values: Vec<SecretString>,
}

/// Replaces the references in a text by the values of the account's secrets, for a request to `host`.
///
/// # Errors
/// A text for the owner of the agent, without values.
pub async fn fill(app: &App, account_id: Uuid, host: &str, text: &SecretString) -> Result<Filled, String> {
    let (mut filled, mut values) = (String::new(), Vec::new());
    let mut rest = text.expose_secret();
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (name, after) = after
            .split_once(CLOSE)
            .ok_or_else(|| format!("a reference {OPEN}…{CLOSE} is not closed"))?;
        let value = reveal(app, account_id, host, name).await?;
        filled.push_str(before);
        filled.push_str(value.expose_secret());
        values.push(value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(Filled {
        text: SecretString::from(filled),
        values,
    })
}

async fn reveal(app: &App, account_id: Uuid, host: &str, name: &str) -> Result<SecretString, String> {
    let found = list::named(app.db.read(), Scope::account(account_id), name).await;
    let found = found.map_err(|error| format!("the secret {name:?} cannot be loaded: {}", error.message()))?;
    let secret = found.ok_or_else(|| format!("the secret {name:?} does not exist"))?;
    let mut hosts = secret.hosts.split_whitespace().peekable();
    if hosts.peek().is_some() && !hosts.any(|permitted| permitted == host) {
        return Err(format!("the secret {name:?} may not be sent to {host}"));
    }
    let value = app.secrets.open_sealed(&context(account_id, name), &secret.value);
    value.ok_or_else(|| format!("the secret {name:?} cannot be decrypted; save its value again"))
}

/// Removes values from a text that another program wrote.
pub fn redact(text: &str, values: &[SecretString]) -> String {
    let mut redacted = text.to_owned();
    for value in values {
        redacted = redacted.replace(value.expose_secret(), MASK);
    }
    redacted
}
