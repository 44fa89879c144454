//! Adds `runs.reasoning_effort` and `messages.carried`. The column `carried` contains data from a model provider that
//! later requests must send back.
//!
//! `carried` is text, not JSON, because a provider may check the exact bytes, and PostgreSQL's JSON cannot contain
//! NUL.

use sea_orm_migration::{
    prelude::*,
    schema::{string_null, text_null},
};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in [
            ("messages", text_null("carried")),
            ("runs", string_null("reasoning_effort")),
        ] {
            manager
                .alter_table(Table::alter().table(table).add_column(column).take())
                .await?;
        }
        Ok(())
    }
}
