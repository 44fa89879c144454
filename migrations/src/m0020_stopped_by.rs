//! Adds the column `runs.stopped_by`: the caller whose request stopped the run.

use sea_orm_migration::{prelude::*, schema::text_null};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let stopped_by = text_null("stopped_by");
        manager
            .alter_table(Table::alter().table("runs").add_column(stopped_by).take())
            .await
    }
}
