//! Database rows of shares.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::accounts::Owned;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "shares")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: Uuid,
    pub thread_id: Uuid,
    /// First characters of the token, used to find the row.
    #[sea_orm(unique)]
    pub prefix: String,
    /// Salt of the hash: 32 random bytes, used as the key of BLAKE3's keyed mode.
    #[sea_orm(column_type = "VarBinary(StringLen::None)")]
    pub salt: Vec<u8>,
    /// BLAKE3 hash of the whole token.
    #[sea_orm(column_type = "VarBinary(StringLen::None)")]
    pub hash: Vec<u8>,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Owned for Entity {
    fn owner() -> Column {
        Column::AccountId
    }
}
