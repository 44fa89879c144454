//! Finding an account by its id.

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{Account, Scope, of, table::Entity};
use crate::error::Result;

/// Finds an account.
///
/// # Errors
/// Database errors.
pub async fn find(db: &impl ConnectionTrait, account_id: Uuid) -> Result<Option<Account>> {
    Ok(of::<Entity>(Scope::account(account_id)).one(db).await?)
}
