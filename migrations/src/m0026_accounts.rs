//! Adds the suspension and the last activity of accounts, and the indexes of the administrators' lists.

use sea_orm_migration::{
    prelude::*,
    schema::{text_null, timestamp_with_time_zone_null},
    sea_orm::DatabaseBackend,
};

use crate::parts::index;

/// The newest run shows when an account was last active.
const LAST: &str = "UPDATE accounts SET last_active_at = COALESCE((SELECT r.created_at FROM runs r \
    WHERE r.account_id = accounts.id ORDER BY r.id DESC LIMIT 1), created_at)";

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            timestamp_with_time_zone_null("suspended_at"),
            text_null("suspended_reason"),
            timestamp_with_time_zone_null("last_active_at"),
        ] {
            manager
                .alter_table(Table::alter().table("accounts").add_column(column).take())
                .await?;
        }
        let db = manager.get_connection();
        db.execute_unprepared(LAST).await?;
        for (name, columns) in [
            ("accounts_by_activity", ["last_active_at", "id"]),
            ("accounts_by_tier", ["tier", "id"]),
        ] {
            manager.create_index(index(name, "accounts", &columns)).await?;
        }
        let suspended = index("accounts_suspended", "accounts", &["id"])
            .and_where(Expr::col("suspended_at").is_not_null())
            .take();
        manager.create_index(suspended).await?;
        // A search by prefix compares bytes. PostgreSQL needs the collation for that; it is SQLite's default.
        let subjects = match manager.get_database_backend() {
            DatabaseBackend::Postgres => "CREATE INDEX accounts_search ON accounts (subject COLLATE \"C\", id)",
            _ => "CREATE INDEX accounts_search ON accounts (subject, id)",
        };
        db.execute_unprepared(subjects).await.map(drop)
    }
}
