//! Reads the row of an account.

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{Account, Scope, of, table::Entity};
use crate::error::Result;

pub async fn find(db: &impl ConnectionTrait, account_id: Uuid) -> Result<Option<Account>> {
    Ok(of::<Entity>(Scope::account(account_id)).one(db).await?)
}
