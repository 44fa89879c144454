//! Adds indexes for the unused uploads of an account and for deleted agents.

use sea_orm_migration::prelude::*;

use crate::parts::index;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let waiting = index("uploads_waiting", "uploads", &["account_id"])
            .and_where(Expr::col("run_id").is_null())
            .take();
        manager.create_index(waiting).await?;
        let deleted = index("agents_deleted", "agents", &["deleted_at"])
            .and_where(Expr::col("deleted_at").is_not_null())
            .take();
        manager.create_index(deleted).await
    }
}
