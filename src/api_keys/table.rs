//! Database rows of API keys.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::accounts::{Access, Owned};

/// An API key. The key itself is not stored.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: Uuid,
    pub name: String,
    /// First characters of the key. The server finds the row by these characters.
    #[sea_orm(unique)]
    pub prefix: String,
    /// Salt of the hash: 32 random bytes, which are the key of BLAKE3's keyed mode.
    #[sea_orm(column_type = "VarBinary(StringLen::None)")]
    pub salt: Vec<u8>,
    /// BLAKE3 hash of the whole key.
    #[sea_orm(column_type = "VarBinary(StringLen::None)")]
    pub hash: Vec<u8>,
    pub scope: Access,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    /// Time of the last use, accurate to the minute; `None` if the key was never used.
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// `SeaORM` requires this type. It is empty, because joins are written by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Owned for Entity {
    fn owner() -> Column {
        Column::AccountId
    }
}
