//! Database rows of triggers.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::accounts::Owned;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "triggers")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: Uuid,
    pub name: String,
    /// The template of the prompt.
    pub prompt: String,
    /// `None` for the account's default agent.
    pub agent_id: Option<Uuid>,
    /// `None` if each run creates a thread.
    pub thread_id: Option<Uuid>,
    /// Empty for the agent's model.
    pub model: String,
    /// Empty for the default mode.
    pub mode: String,
    pub enabled: bool,
    /// The encrypted secret.
    pub secret: String,
    /// The encrypted secret before the last rotation, which is valid until `earlier_until`.
    pub earlier_secret: Option<String>,
    pub earlier_until: Option<DateTime<Utc>>,
    /// Time of the last authenticated request; `None` before the first.
    pub fired_at: Option<DateTime<Utc>>,
    /// The last run. It may have been deleted.
    pub run_id: Option<Uuid>,
    /// Thread of the last run.
    pub last_thread_id: Option<Uuid>,
    /// Code and message of the error with which the last request was refused; `None` if it started a run.
    pub error_code: Option<String>,
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Owned for Entity {
    fn owner() -> Column {
        Column::AccountId
    }
}
