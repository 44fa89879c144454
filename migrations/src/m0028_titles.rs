//! Adds the column `threads.name_is_automatic`: true if the name comes from the first prompt or from a model, so that a
//! suggestion may replace it. The names of earlier threads stay, because nothing tells how they were made.

use sea_orm_migration::{prelude::*, schema::boolean};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut column = boolean("name_is_automatic");
        column.not_null().default(false);
        manager
            .alter_table(Table::alter().table("threads").add_column(column).take())
            .await
    }
}
