//! Adds the secrets of accounts.

use sea_orm_migration::{
    prelude::*,
    schema::{string, text, timestamp_with_time_zone, uuid},
};

use crate::parts::{id, index, table};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut of_account = ForeignKey::create();
        of_account.from("account_secrets", "account_id").to("accounts", "id");
        let secrets = table("account_secrets")
            .col(id())
            .col(uuid("account_id"))
            .col(string("name"))
            // The encrypted value.
            .col(text("value"))
            .col(text("hosts"))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone("updated_at"))
            .foreign_key(&mut of_account)
            .take();
        manager.create_table(secrets).await?;
        for index in [
            index("account_secrets_by_account", "account_secrets", &["account_id", "id"]),
            index("account_secrets_by_name", "account_secrets", &["account_id", "name"])
                .unique()
                .take(),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
