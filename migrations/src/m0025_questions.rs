//! Adds `inputs.question`: the place of a question that a tool asks in the middle of a call.

use sea_orm_migration::{prelude::*, schema::text_null};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let question = text_null("question");
        manager
            .alter_table(Table::alter().table("inputs").add_column(question).take())
            .await
    }
}
