//! Creating an API key.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter};
use secrecy::SecretString;

use super::{
    ApiKey, PREFIX,
    table::{Column, Entity},
};
use crate::{
    accounts::{Access, Caller, of, queue},
    app::App,
    error::{Code, Error, Result},
    id,
    random_token::NewToken,
};

/// Maximum length of a name, in characters.
const MAX_NAME: usize = 100;
/// Maximum number of keys per account. Revoked keys do not count.
const MAX_KEYS: u64 = 100;

#[derive(Clone, Debug)]
pub struct NewKey {
    pub name: String,
    pub access: Access,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Returns the row and the key. The key cannot be read again later.
///
/// # Errors
/// INVALID_REQUEST; CONFLICT if the account has too many keys.
pub async fn create(app: &App, caller: &Caller, new: NewKey) -> Result<(ApiKey, SecretString)> {
    let now = app.clock.now();
    if new.name.trim().is_empty() || new.name.chars().count() > MAX_NAME || new.name.contains(char::is_control) {
        return Err(Error::invalid_field(
            "name",
            format!("name must have 1 to {MAX_NAME} characters and no control characters"),
        ));
    }
    if new.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(Error::invalid_field("expires_at", "expires_at must be in the future"));
    }
    let key = NewToken::with_prefix(PREFIX);
    let row = ApiKey {
        id: id::new(),
        account_id: caller.account_id,
        name: new.name,
        prefix: key.start,
        salt: key.salt,
        hash: key.hash,
        scope: new.access,
        created_at: now,
        expires_at: new.expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    let tx = queue::begin_locked(app, caller.account_id, "api_keys.create").await?;
    let in_use = of::<Entity>(caller.scope())
        .filter(Column::RevokedAt.is_null())
        .count(&tx)
        .await?;
    if in_use >= MAX_KEYS {
        let message = format!("the account has {in_use} API keys, which is the maximum; revoke one first");
        return Err(Error::new(Code::Conflict, message));
    }
    Entity::insert(row.clone().into_active_model())
        .exec_without_returning(&tx)
        .await?;
    tx.commit().await?;
    Ok((row, key.token))
}
