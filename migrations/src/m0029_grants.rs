//! Makes `ledger_one_grant` a partial index, so that an entry for a model call costs one index entry less.

use sea_orm_migration::prelude::*;

use crate::parts::index;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let name = "ledger_one_grant";
        manager
            .drop_index(Index::drop().name(name).table("ledger_entries").to_owned())
            .await?;
        let one_grant = index(name, "ledger_entries", &["account_id", "grant_key"])
            .unique()
            .and_where(Expr::col("grant_key").is_not_null())
            .take();
        manager.create_index(one_grant).await
    }
}
