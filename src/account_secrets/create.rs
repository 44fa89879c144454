//! Creates secrets, and checks their fields.

use std::fmt;

use sea_orm::{EntityTrait, IntoActiveModel};
use secrecy::{ExposeSecret, SecretString};
use url::Host;

use super::{
    list, sealed,
    table::{Entity, Model},
};
use crate::{
    accounts::{Caller, ensure, queue},
    app::App,
    error::{Code, Error, Result},
};

const MAX_NAME: usize = 64;
/// A shorter value could be part of ordinary text, from which it is removed wherever it occurs.
const MIN_VALUE: usize = 8;
const MAX_VALUE: usize = 8 * 1024;
const MAX_HOSTS: usize = 32;
/// Maximum length of a host name (RFC 1035).
const MAX_HOST: usize = 253;

pub struct NewSecret {
    pub name: String,
    pub value: SecretString,
    pub hosts: Vec<String>,
}

impl fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSecret")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// # Errors
/// INVALID_REQUEST; CONFLICT if the account has a secret with this name; `SECRET_LIMIT_EXCEEDED`.
pub async fn create(app: &App, caller: &Caller, new: NewSecret) -> Result<Model> {
    check_name(&new.name)?;
    check_value(&new.value)?;
    let hosts = checked_hosts(&new.hosts)?;
    let (secret_id, now) = app.clock.stamp();
    let row = Model {
        id: secret_id,
        account_id: caller.account_id,
        value: sealed(app, caller.account_id, &new.name, new.value.expose_secret())?,
        name: new.name,
        hosts,
        created_at: now,
        updated_at: now,
    };
    let most = app.config.secrets.max_per_account;
    let tx = queue::begin(app, caller.account_id, "account_secrets.create").await?;
    // Lock the account, because two concurrent calls must not both create a secret with this name.
    ensure::lock(&tx, caller.account_id).await?;
    if list::named(&tx, caller.scope(), &row.name).await?.is_some() {
        let message = format!("a secret named {:?} exists; change its value instead", row.name);
        return Err(Error::new(Code::Conflict, message));
    }
    if list::list(&tx, caller.scope(), None, most).await?.len() as u64 >= most {
        let message = format!("the limit of {most} secrets is reached; delete secrets that are no longer needed");
        return Err(Error::new(Code::SecretLimitExceeded, message));
    }
    Entity::insert(row.clone().into_active_model())
        .exec_without_returning(&tx)
        .await?;
    tx.commit().await?;
    Ok(row)
}

fn check_name(name: &str) -> Result<()> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_plain) {
        let message = format!("name must have 1 to {MAX_NAME} letters, digits, \"_\" and \"-\"");
        return Err(Error::invalid_field("name", message));
    }
    Ok(())
}

pub(super) fn check_value(value: &SecretString) -> Result<()> {
    let value = value.expose_secret();
    if !(MIN_VALUE..=MAX_VALUE).contains(&value.len()) || value.chars().any(char::is_control) {
        let message = format!("value must have {MIN_VALUE} to {MAX_VALUE} bytes and no control characters");
        return Err(Error::invalid_field("value", message));
    }
    Ok(())
}

/// Returns the hosts as they are stored.
pub(super) fn checked_hosts(hosts: &[String]) -> Result<String> {
    if hosts.len() > MAX_HOSTS {
        let message = format!("a secret can have at most {MAX_HOSTS} hosts");
        return Err(Error::invalid_field("hosts", message));
    }
    let parsed = hosts.iter().map(|host| match Host::parse(host) {
        Ok(parsed) if host.len() <= MAX_HOST && !host.contains(char::is_whitespace) => Ok(parsed.to_string()),
        _ => {
            let message = "a host is a name or an address, such as mcp.example.com, without scheme and port";
            Err(Error::invalid_field("hosts", message))
        }
    });
    let parsed: Vec<String> = parsed.collect::<Result<_>>()?;
    Ok(parsed.join(" "))
}
