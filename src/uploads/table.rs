//! Database rows of uploads.

use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;

use crate::accounts::Owned;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "uploads")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: Uuid,
    /// Name of the file as the client sent it.
    pub name: String,
    /// In bytes.
    pub size: i64,
    /// Number of bytes received from the start of the file without a gap.
    pub received: i64,
    /// BLAKE3 hash of the content; `None` until the upload is complete.
    pub digest: Option<String>,
    /// `None` while no run uses the upload.
    pub run_id: Option<Uuid>,
    /// Name in the workspace; `None` until a name is chosen.
    pub placed_as: Option<String>,
    /// True if the file is in the workspace, or was removed because the run already has the same content.
    pub placed: bool,
    pub created_at: DateTime<Utc>,
}

impl Model {
    pub fn is_complete(&self) -> bool {
        self.digest.is_some()
    }
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Owned for Entity {
    fn owner() -> Column {
        Column::AccountId
    }
}
