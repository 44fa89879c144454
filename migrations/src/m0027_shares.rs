//! Adds the share links of threads.

use sea_orm_migration::{
    prelude::*,
    schema::{binary, string_uniq, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid},
};

use crate::parts::{id, index, table};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let parent = |column: &str, of: &str| {
            let mut key = ForeignKey::create();
            key.name(format!("fk_shares_{column}"))
                .from("shares", column.to_owned())
                .to(of.to_owned(), "id")
                .on_delete(ForeignKeyAction::Cascade)
                .take()
        };
        let shares = table("shares")
            .col(id())
            .col(uuid("account_id"))
            .col(uuid("thread_id"))
            // First characters of the token. The other columns contain only its salted hash.
            .col(string_uniq("prefix"))
            .col(binary("salt"))
            .col(binary("hash"))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone_null("expires_at"))
            .foreign_key(&mut parent("account_id", "accounts"))
            .foreign_key(&mut parent("thread_id", "threads"))
            .take();
        manager.create_table(shares).await?;
        for (name, columns) in [
            ("shares_by_account", ["account_id", "id"]),
            ("shares_by_thread", ["thread_id", "id"]),
        ] {
            manager.create_index(index(name, "shares", &columns)).await?;
        }
        Ok(())
    }
}
