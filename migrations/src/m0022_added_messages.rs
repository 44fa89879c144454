//! Adds messages to unfinished runs: `messages.delivery`, `messages.read_after`, and the number of such messages per run.

use sea_orm_migration::{
    prelude::*,
    schema::{small_integer_null, uuid_null},
};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut added = ColumnDef::new("added_messages");
        added.big_integer().not_null().default(0);
        let columns = [
            ("messages", small_integer_null("delivery")),
            ("messages", uuid_null("read_after")),
            ("runs", added),
        ];
        for (table, column) in columns {
            manager
                .alter_table(Table::alter().table(table).add_column(column).take())
                .await?;
        }
        Ok(())
    }
}
