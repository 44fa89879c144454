//! Creates shares.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    PREFIX, SHOWN, Share, hash, list,
    table::{Column, Entity},
};
use crate::{
    accounts::{Caller, queue},
    app::App,
    error::{Code, Error, Result},
    id, threads,
};

/// Maximum number of shares per thread. Expired shares do not count.
const MAX_SHARES: u64 = 20;

/// A share with its token, which only its creation returns.
pub struct NewShare {
    pub share: Share,
    pub token: SecretString,
}

/// Creates a share, and deletes the expired shares of the thread.
///
/// # Errors
/// INVALID_REQUEST; `THREAD_NOT_FOUND`; `SHARE_LIMIT_EXCEEDED`.
pub async fn create(
    app: &App,
    caller: &Caller,
    thread_id: Uuid,
    expires_at: Option<DateTime<Utc>>,
) -> Result<NewShare> {
    let (share_id, now) = app.clock.stamp();
    if expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(Error::invalid_field("expires_at", "expires_at must be in the future"));
    }
    // 64 random bits find the row of the token. 256 other random bits are the secret.
    let found_by = URL_SAFE_NO_PAD.encode(id::random_bytes::<8>());
    let secret = URL_SAFE_NO_PAD.encode(id::random_bytes::<32>());
    let token = format!("{PREFIX}{found_by}{secret}");
    let salt = id::random_bytes::<32>();
    let share = Share {
        id: share_id,
        account_id: caller.account_id,
        thread_id,
        prefix: token[..SHOWN].to_owned(),
        salt: salt.to_vec(),
        hash: hash(&salt, &token).as_bytes().to_vec(),
        created_at: now,
        expires_at,
    };
    let tx = queue::begin_locked(app, caller.account_id, "shares.create").await?;
    threads::load(&tx, caller.scope(), thread_id).await?;
    Entity::delete_many()
        .filter(Column::AccountId.eq(caller.account_id))
        .filter(Column::ThreadId.eq(thread_id))
        .filter(Column::ExpiresAt.lte(now))
        .exec(&tx)
        .await?;
    let existing = list::list(&tx, caller.scope(), Some(thread_id), None, MAX_SHARES).await?;
    if existing.len() as u64 >= MAX_SHARES {
        let message = format!("the thread has {MAX_SHARES} shares, which is the maximum; revoke one first");
        return Err(Error::new(Code::ShareLimitExceeded, message));
    }
    Entity::insert(share.clone().into_active_model())
        .exec_without_returning(&tx)
        .await?;
    tx.commit().await?;
    let token = token.into();
    Ok(NewShare { share, token })
}
