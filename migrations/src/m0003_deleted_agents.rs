//! Adds the column `agents.deleted_at`. `DeleteAgent` sets the column instead of deleting the row, because unfinished
//! runs may still need the agent's versions. The API does not return such an agent, and the sweeper
//! (`src/background/sweeper.rs`) deletes its row after the last of these runs has ended.

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
