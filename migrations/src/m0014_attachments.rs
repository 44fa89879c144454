//! Adds the column `messages.attachments`: the record of the files that belong to a message, as JSON.
//!
//! The record is a column and not a table, because it is written and read only together with its message.

use sea_orm_migration::{prelude::*, schema::json_binary_null};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let attachments = json_binary_null("attachments");
        manager
            .alter_table(Table::alter().table("messages").add_column(attachments).take())
            .await
    }
}
