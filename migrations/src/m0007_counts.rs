//! Adds the numbers of agents, threads and projects to each account's row, so that `StartRun` counts no rows.
//!
//! Triggers update the counts in the same transaction, also for foreign key cascades, so the counts are always exact.

use sea_orm_migration::{prelude::*, schema::big_integer, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// Counted tables, each with the condition under which a row counts. The count column has the table's name.
const COUNTED: [(&str, &str); 3] = [
    ("agents", "{row}.deleted_at IS NULL"),
    ("threads", "TRUE"),
    ("projects", "TRUE"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        for (table, condition) in COUNTED {
            let mut column = big_integer(table);
            column.default(0);
            manager
                .alter_table(Table::alter().table("accounts").add_column(column).take())
                .await?;
            let counts = condition.replace("{row}", "c");
            let count = format!(
                "UPDATE accounts SET {table} = (SELECT COUNT(*) FROM {table} c WHERE c.account_id = accounts.id AND {counts})"
            );
            connection.execute_unprepared(&count).await?;
            let triggers = match manager.get_database_backend() {
                DbBackend::Postgres => postgres(table, condition),
                _ => sqlite(table, condition),
            };
            for trigger in triggers {
                connection.execute_unprepared(&trigger).await?;
            }
        }
        Ok(())
    }
}

/// Returns triggers for inserts, deletes and, if `condition` depends on `deleted_at`, changes of that column.
fn sqlite(table: &str, condition: &str) -> Vec<String> {
    let counts = |row: &str| condition.replace("{row}", row);
    let trigger = |event: &str, change: &str, row: &str| {
        let name = event.split(' ').next().unwrap_or_default().to_lowercase();
        let when = if change.starts_with("CASE") {
            format!("({}) <> ({})", counts("OLD"), counts("NEW"))
        } else {
            counts(row)
        };
        format!(
            "CREATE TRIGGER {table}_counted_on_{name} AFTER {event} ON {table} WHEN {when} \
            BEGIN UPDATE accounts SET {table} = {table} + {change} WHERE id = {row}.account_id; END"
        )
    };
    let mut triggers = vec![trigger("INSERT", "1", "NEW"), trigger("DELETE", "-1", "OLD")];
    if condition != "TRUE" {
        let change = format!("CASE WHEN {} THEN 1 ELSE -1 END", counts("NEW"));
        triggers.push(trigger("UPDATE OF deleted_at", &change, "NEW"));
    }
    triggers
}

/// Returns the statements that create triggers, with their functions, for inserts, deletes and, if `condition`
/// depends on `deleted_at`, updates. They fire once per statement, because a trigger per row would update the
/// account's row once per deleted row. Each update leaves a dead row version to vacuum.
fn postgres(table: &str, condition: &str) -> Vec<String> {
    let sum = |rows: &str, sign: i32| {
        let counts = condition.replace("{row}", rows);
        format!("SELECT {rows}.account_id, {sign} AS change FROM {rows} WHERE {counts}")
    };
    let mut events = vec![
        ("INSERT", "NEW TABLE AS made", sum("made", 1)),
        ("DELETE", "OLD TABLE AS gone", sum("gone", -1)),
    ];
    if condition != "TRUE" {
        let both = format!("{} UNION ALL {}", sum("made", 1), sum("gone", -1));
        events.push(("UPDATE", "OLD TABLE AS gone NEW TABLE AS made", both));
    }
    let mut statements = Vec::new();
    for (event, tables, rows) in events {
        let name = format!("{table}_counted_on_{}", event.to_lowercase());
        statements.push(format!(
            "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
            UPDATE accounts SET {table} = {table} + changed.change FROM (SELECT account_id, SUM(change) AS change \
            FROM ({rows}) AS rows GROUP BY account_id HAVING SUM(change) <> 0) AS changed \
            WHERE accounts.id = changed.account_id; RETURN NULL; END $$"
        ));
        statements.push(format!(
            "CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {tables} FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        ));
    }
    statements
}
