//! Adds `inputs.question`, the place of a question that a tool asks in the middle of a call, and the idempotency keys of
//! schedules that are run now. From now on, the threads of subagents do not count towards an account's threads.

use sea_orm_migration::{prelude::*, schema::text_null, sea_orm::DbBackend};

use crate::parts::index;

#[derive(DeriveMigrationName)]
pub struct Migration;

const COUNT: &str = "UPDATE accounts SET threads = (SELECT COUNT(*) FROM threads t WHERE t.account_id = accounts.id \
                     AND t.parent_run_id IS NULL)";

/// Events, each with the change of the count and the table of the changed rows.
const COUNTED: [(&str, &str, &str); 2] = [("INSERT", "1", "made"), ("DELETE", "-1", "gone")];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in [("inputs", "question"), ("schedule_runs", "request_key")] {
            manager
                .alter_table(Table::alter().table(table).add_column(text_null(column)).take())
                .await?;
        }
        let keys = index("schedule_runs_by_key", "schedule_runs", &["schedule_id", "request_key"])
            .unique()
            .take();
        manager.create_index(keys).await?;
        let connection = manager.get_connection();
        for (event, change, rows) in COUNTED {
            let statements = match manager.get_database_backend() {
                DbBackend::Postgres => vec![postgres(event, change, rows)],
                _ => sqlite(event, change),
            };
            for statement in statements {
                connection.execute_unprepared(&statement).await?;
            }
        }
        connection.execute_unprepared(COUNT).await?;
        Ok(())
    }
}

fn sqlite(event: &str, change: &str) -> Vec<String> {
    let name = format!("threads_counted_on_{}", event.to_lowercase());
    let row = if event == "INSERT" { "NEW" } else { "OLD" };
    vec![
        format!("DROP TRIGGER {name}"),
        format!(
            "CREATE TRIGGER {name} AFTER {event} ON threads WHEN {row}.parent_run_id IS NULL \
             BEGIN UPDATE accounts SET threads = threads + {change} WHERE id = {row}.account_id; END"
        ),
    ]
}

/// Replaces the function of the trigger, which stays the same.
fn postgres(event: &str, change: &str, rows: &str) -> String {
    let name = format!("threads_counted_on_{}", event.to_lowercase());
    format!(
        "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         UPDATE accounts SET threads = threads + changed.change FROM (SELECT account_id, SUM({change}) AS change \
         FROM {rows} WHERE parent_run_id IS NULL GROUP BY account_id) AS changed \
         WHERE accounts.id = changed.account_id; RETURN NULL; END $$"
    )
}
