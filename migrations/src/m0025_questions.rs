//! Adds `inputs.question`, the place of a question that a tool asks in the middle of a call, and the idempotency keys of
//! schedules that are run now. From now on, the threads of subagents do not count towards an account's threads.

use sea_orm_migration::{prelude::*, schema::text_null, sea_orm::DbBackend};

use crate::parts::index;

#[derive(DeriveMigrationName)]
pub struct Migration;

const COUNT: &str = "UPDATE accounts SET threads = (SELECT COUNT(*) FROM threads t WHERE t.account_id = accounts.id \
                     AND t.parent_run_id IS NULL)";

/// Each counting trigger with its event, the row that it reads and its change of the count. On PostgreSQL, the trigger for
/// deletes fires once per statement.
const COUNTED: [(&str, &str, &str); 2] = [("INSERT", "NEW", "1"), ("DELETE", "OLD", "-1")];
const ON_POSTGRES: [&str; 2] = [
    "CREATE OR REPLACE FUNCTION threads_counted_on_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     IF NEW.parent_run_id IS NULL THEN UPDATE accounts SET threads = threads + 1 WHERE id = NEW.account_id; END IF; \
     RETURN NULL; END $$",
    "CREATE OR REPLACE FUNCTION threads_counted_on_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     UPDATE accounts SET threads = threads - changed.change FROM (SELECT account_id, COUNT(*) AS change FROM gone \
     WHERE parent_run_id IS NULL GROUP BY account_id) AS changed WHERE accounts.id = changed.account_id; \
     RETURN NULL; END $$",
];

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
        let statements: Vec<String> = match manager.get_database_backend() {
            DbBackend::Postgres => ON_POSTGRES.map(str::to_owned).into(),
            _ => COUNTED.into_iter().flat_map(sqlite).collect(),
        };
        let connection = manager.get_connection();
        for statement in statements {
            connection.execute_unprepared(&statement).await?;
        }
        connection.execute_unprepared(COUNT).await?;
        Ok(())
    }
}

fn sqlite((event, row, change): (&str, &str, &str)) -> [String; 2] {
    let name = format!("threads_counted_on_{}", event.to_lowercase());
    [
        format!("DROP TRIGGER {name}"),
        format!(
            "CREATE TRIGGER {name} AFTER {event} ON threads WHEN {row}.parent_run_id IS NULL \
             BEGIN UPDATE accounts SET threads = threads + {change} WHERE id = {row}.account_id; END"
        ),
    ]
}
