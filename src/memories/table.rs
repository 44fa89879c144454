//! Database rows of memories. `memories/words.rs` describes the words of a memory, which are stored separately.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::accounts::Owned;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "memories")]
pub struct Model {
    /// Row id of the memory's words on SQLite.
    #[sea_orm(primary_key)]
    pub number: i64,
    pub id: Uuid,
    pub account_id: Uuid,
    /// The agent that holds the memory; `None` if the account holds it.
    pub agent_id: Option<Uuid>,
    pub text: String,
    /// The run that created the memory, which may have been deleted; `None` if a caller created the memory.
    pub run_id: Option<Uuid>,
    pub created_at: DateTime<Utc>,
    /// Time of the last change of the text.
    pub updated_at: DateTime<Utc>,
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
