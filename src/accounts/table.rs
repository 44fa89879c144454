//! Database rows of accounts.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use super::Owned;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Issuer of the subject's tokens; empty if this server issues the tokens.
    pub issuer: String,
    pub subject: String,
    /// Name of the account's tier in the configuration.
    pub tier: String,
    pub created_at: DateTime<Utc>,
    /// Number of agents that are not deleted. Database triggers update this field, `threads` and `projects`.
    pub agents: i64,
    pub threads: i64,
    pub projects: i64,
    /// `None` if the account is not suspended.
    pub suspended_at: Option<DateTime<Utc>>,
    pub suspended_reason: Option<String>,
    /// Time of the last start of a run, accurate to an hour; at first, the creation time.
    pub last_active_at: Option<DateTime<Utc>>,
}

/// `SeaORM` requires this type. Joins are written by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Owned for Entity {
    fn owner() -> Column {
        Column::Id
    }
}
