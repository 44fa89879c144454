//! Adds the output of runs: the final answer as JSON text, for runs whose request has a schema.

use sea_orm_migration::{prelude::*, schema::text_null};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .alter_table(Table::alter().table("runs").add_column(text_null("output")).take())
            .await
    }
}
