//! Reads the row of an account. `account_state`, `admin` and `accounts::ensure` call [`find`].

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{Account, Scope, of, table::Entity};
use crate::error::Result;

/// Returns the account with this id; `None` if it does not exist.
///
/// # Errors
/// Database errors.
pub async fn find(db: &impl ConnectionTrait, account_id: Uuid) -> Result<Option<Account>> {
    Ok(of::<Entity>(Scope::account(account_id)).one(db).await?)
}
