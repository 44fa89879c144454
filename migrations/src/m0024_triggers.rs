//! Makes the triggers of a run's start and end cheaper on PostgreSQL.
//!
//! Threads and projects are inserted one at a time, so a trigger for each row costs less than one for each statement,
//! which collects the new rows in a table. An account without webhooks costs one search in an index when a run ends.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::m0016_webhooks;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// Counted tables. The count column of the account has the table's name.
const COUNTED: [&str; 2] = ["threads", "projects"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        for table in COUNTED {
            for statement in counted(table) {
                manager.get_connection().execute_unprepared(&statement).await?;
            }
        }
        manager.get_connection().execute_unprepared(&notified()).await?;
        Ok(())
    }
}

fn counted(table: &str) -> [String; 3] {
    let name = format!("{table}_counted_on_insert");
    [
        format!("DROP TRIGGER {name} ON {table}"),
        format!(
            "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
            UPDATE accounts SET {table} = {table} + 1 WHERE id = NEW.account_id; RETURN NULL; END $$"
        ),
        format!("CREATE TRIGGER {name} AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"),
    ]
}

fn notified() -> String {
    let insert = m0016_webhooks::postgres_insert();
    format!(
        "CREATE OR REPLACE FUNCTION webhooks_notified() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        IF EXISTS (SELECT 1 FROM webhooks WHERE account_id = NEW.account_id) THEN {insert}; END IF; RETURN NULL; END $$"
    )
}
