//! Creates shares.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use secrecy::SecretString;
use uuid::Uuid;

use super::{
    PREFIX, Share, list,
    table::{Column, Entity},
};
use crate::{
    accounts::{Caller, queue},
    app::App,
    error::{Code, Error, Result},
    random_token::NewToken,
    threads,
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
    let new = NewToken::with_prefix(PREFIX);
    let share = Share {
        id: share_id,
        account_id: caller.account_id,
        thread_id,
        prefix: new.start,
        salt: new.salt,
        hash: new.hash,
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
    Ok(NewShare {
        share,
        token: new.token,
    })
}
