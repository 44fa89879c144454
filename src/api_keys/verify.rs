//! Verifies API keys. `wire::caller` calls [`verify`] for each request with a key. While a stream is open,
//! `wire::credential_expiry` calls [`is_good`] to notice that the key was revoked or has expired.

use std::time::Duration;

use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::{
    ApiKey, PREFIX,
    table::{Column, Entity},
};
use crate::{
    accounts::{Scope, of},
    app::App,
    error::{Code, Error, Result},
    random_token,
};

/// Minimum time between two updates of `last_used_at`.
const USED_EVERY: Duration = Duration::from_mins(1);

/// Returns the row of a valid key.
///
/// # Errors
/// NOT_AUTHENTICATED, with the same message for every reason; database errors.
pub async fn verify(app: &App, key: &str) -> Result<ApiKey> {
    let refused = |why: &'static str| Error::new(Code::NotAuthenticated, "Not authenticated").caused_by(why);
    let start = random_token::start(key, PREFIX);
    let start = start.ok_or_else(|| refused("the text is not an API key"))?;
    let row = of::<Entity>(Scope::system("the caller is not known yet"))
        .filter(Column::Prefix.eq(start))
        .one(app.db.read())
        .await?;
    let is_right = random_token::is_right(key, row.as_ref().map(|row| (&*row.salt, &*row.hash)));
    let row = row.filter(|_| is_right).ok_or_else(|| refused("no such API key"))?;
    let now = app.clock.now();
    if row.revoked_at.is_some() {
        return Err(refused("the API key was revoked"));
    }
    if row.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(refused("the API key has expired"));
    }
    if row.last_used_at.is_none_or(|used_at| used_at + USED_EVERY <= now) {
        let (app, key_id) = (app.clone(), row.id);
        tokio::spawn(async move {
            if let Err(fault) = note_use(&app, key_id).await {
                tracing::warn!(error = %fault, %key_id, "could not record the use of an API key");
            }
        });
    }
    Ok(row)
}

/// Returns true if an already verified key is still valid: neither revoked nor expired.
pub async fn is_good(app: &App, key_id: Uuid) -> Result<bool> {
    let row = of::<Entity>(Scope::system("the key was verified before"))
        .filter(Column::Id.eq(key_id))
        .one(app.db.read())
        .await?;
    let now = app.clock.now();
    Ok(row.is_some_and(|row| row.revoked_at.is_none() && row.expires_at.is_none_or(|expires_at| expires_at > now)))
}

// The filter on `LastUsedAt` lets only one of several concurrent requests write.
async fn note_use(app: &App, key_id: Uuid) -> Result<()> {
    let now = app.clock.now();
    let tx = app.db.begin("api_keys.use").await?;
    Entity::update_many()
        .col_expr(Column::LastUsedAt, Expr::value(now))
        .filter(Column::Id.eq(key_id))
        .filter(
            Condition::any()
                .add(Column::LastUsedAt.is_null())
                .add(Column::LastUsedAt.lte(now - USED_EVERY)),
        )
        .exec(&tx)
        .await?;
    tx.commit().await
}
