//! Verifies the tokens of shares. `wire/shares.rs` calls [`verify`] for each read, so a revoked token is refused at once.

use sea_orm::{ColumnTrait, QueryFilter};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::{
    PREFIX, SHOWN, Share, hash, not_found,
    table::{Column, Entity},
};
use crate::{
    accounts::{Scope, of},
    app::App,
    error::Result,
    threads::{self, Thread},
};

/// Maximum length of a token in bytes. A longer token is refused before the database is read.
const MAX_TOKEN_BYTES: usize = 128;

/// Returns the share of a token, and its thread.
///
/// # Errors
/// `SHARE_NOT_FOUND`, with the same message for every reason; database errors.
pub async fn verify(app: &App, token: &SecretString) -> Result<(Share, Thread)> {
    let refused = |why: &'static str| not_found().caused_by(why);
    let token = token.expose_secret();
    let is_token = token.len() <= MAX_TOKEN_BYTES && token.starts_with(PREFIX);
    let prefix = token.get(..SHOWN).filter(|_| is_token);
    let prefix = prefix.ok_or_else(|| refused("the text is not the token of a share"))?;
    let db = app.db.read();
    let row = of::<Entity>(Scope::system("the account is not known yet"))
        .filter(Column::Prefix.eq(prefix))
        .one(db)
        .await?;
    // An unknown token takes as much work as a known one. The response time then does not reveal whether it exists.
    let (salt, expected) = row.as_ref().map_or(([0; 32], vec![0; 32]), |row| {
        (row.salt.as_slice().try_into().unwrap_or([0; 32]), row.hash.clone())
    });
    let is_right = bool::from(hash(&salt, token).as_bytes().ct_eq(expected.as_slice()));
    let share = row.filter(|_| is_right).ok_or_else(|| refused("no such share"))?;
    if share.expires_at.is_some_and(|expires_at| expires_at <= app.clock.now()) {
        return Err(refused("the share has expired"));
    }
    if app.accounts.suspensions.contains(share.account_id) {
        return Err(refused("the account is suspended"));
    }
    // The thread may have been deleted since the share was read.
    let thread = threads::find(db, Scope::account(share.account_id), share.thread_id).await?;
    let thread = thread.ok_or_else(|| refused("the thread was deleted"))?;
    Ok((share, thread))
}
