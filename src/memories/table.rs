//! Database rows of memories. The words of a memory are stored separately (`memories/words.rs`).

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
    /// `None` if the account itself holds the memory.
    pub agent_id: Option<Uuid>,
    pub text: String,
    /// `None` if a caller created the memory. The run may have been deleted.
    pub run_id: Option<Uuid>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// `SeaORM` requires this type. Joins are written by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Owned for Entity {
    fn owner() -> Column {
        Column::AccountId
    }
}
