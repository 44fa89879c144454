//! Adds `agents.deleted_at`. `DeleteAgent` keeps the row, because unfinished runs may need the agent's versions. The
//! sweeper (`src/background/sweeper.rs`) deletes the row after the agent's last run has ended.

use sea_orm_migration::{prelude::*, schema::timestamp_with_time_zone_null};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut agents = Table::alter();
        agents
            .table("agents")
            .add_column(timestamp_with_time_zone_null("deleted_at"));
        manager.alter_table(agents).await
    }
}
