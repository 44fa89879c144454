//! The rows of accounts.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use super::Owned;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub struct Model {
    /// The account's UUID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Who vouches for the subject; empty for our own tokens.
    pub issuer: String,
    /// The subject, unique within its issuer.
    pub subject: String,
    /// The tier's name.
    pub tier: String,
    /// When the subject was first seen.
    pub created_at: DateTime<Utc>,
    /// How many agents it has, without deleted ones. This count and the next two are kept by triggers.
    pub agents: i64,
    /// How many threads it has.
    pub threads: i64,
    /// How many projects it has.
    pub projects: i64,
}

/// Required by `SeaORM`; joins are written by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Owned for Entity {
    fn owner() -> Column {
        Column::Id
    }
}
