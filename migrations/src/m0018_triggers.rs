//! Adds triggers.

use sea_orm_migration::{
    prelude::*,
    schema::{
        boolean, string, string_null, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
        uuid_null,
    },
};

use crate::parts::{id, index, table};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut of_account = ForeignKey::create();
        of_account.from("triggers", "account_id").to("accounts", "id");
        let triggers = table("triggers")
            .col(id())
            .col(uuid("account_id"))
            .col(string("name"))
            .col(text("prompt"))
            // Not foreign keys: a request whose agent or thread was deleted is refused, and the trigger says so.
            .col(uuid_null("agent_id"))
            .col(uuid_null("thread_id"))
            .col(string("model"))
            .col(string("mode"))
            .col(boolean("enabled"))
            // The encrypted secrets.
            .col(text("secret"))
            .col(text_null("earlier_secret"))
            .col(timestamp_with_time_zone_null("earlier_until"))
            .col(timestamp_with_time_zone_null("fired_at"))
            .col(uuid_null("run_id"))
            .col(uuid_null("last_thread_id"))
            .col(string_null("error_code"))
            .col(text_null("error"))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone("updated_at"))
            .foreign_key(&mut of_account)
            .take();
        manager.create_table(triggers).await?;
        let by_account = index("triggers_by_account", "triggers", &["account_id", "id"]);
        manager.create_index(by_account).await
    }
}
