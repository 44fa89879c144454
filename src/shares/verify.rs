//! Verifies the tokens of shares. `wire/shares.rs` calls [`verify`] for each read, so a revoked token is refused at once.

use sea_orm::{ColumnTrait, QueryFilter};
use secrecy::{ExposeSecret, SecretString};

use super::{
    PREFIX, Share, not_found,
    table::{Column, Entity},
};
use crate::{
    accounts::{Scope, of},
    app::App,
    error::Result,
    random_token,
    threads::{self, Thread},
};

/// Returns the share of a token, and its thread.
///
/// # Errors
/// `SHARE_NOT_FOUND`, with the same message for every reason; database errors.
pub async fn verify(app: &App, token: &SecretString) -> Result<(Share, Thread)> {
    let refused = |why: &'static str| not_found().caused_by(why);
    let token = token.expose_secret();
    let start = random_token::start(token, PREFIX);
    let start = start.ok_or_else(|| refused("the text is not the token of a share"))?;
    let db = app.db.read();
    let row = of::<Entity>(Scope::system("the account is not known yet"))
        .filter(Column::Prefix.eq(start))
        .one(db)
        .await?;
    let is_right = random_token::is_right(token, row.as_ref().map(|row| (&*row.salt, &*row.hash)));
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
