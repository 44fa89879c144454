//! The rows of uploads.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::accounts::Owned;

/// An upload.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "uploads")]
pub struct Model {
    /// The upload's UUID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The owner.
    pub account_id: Uuid,
    /// The file's name as it was given.
    pub name: String,
    /// The file's size in bytes.
    pub size: i64,
    /// How many bytes have arrived.
    pub received: i64,
    /// BLAKE3 of the content, once it is complete.
    pub digest: Option<String>,
    /// The run that took it.
    pub run_id: Option<Uuid>,
    /// The name in the workspace, from the moment that a run took it.
    pub placed_as: Option<String>,
    /// Whether it lies in the workspace.
    pub placed: bool,
    /// When it was announced.
    pub created_at: DateTime<Utc>,
}

impl Model {
    /// Whether all bytes have arrived.
    pub fn is_complete(&self) -> bool {
        self.digest.is_some()
    }
}

/// Required by `SeaORM`; joins are written by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Owned for Entity {
    fn owner() -> Column {
        Column::AccountId
    }
}
