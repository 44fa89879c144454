//! Adds schedules and their occurrences. An occurrence is unique per schedule, so two servers cannot start it twice.

use sea_orm_migration::{
    prelude::*,
    schema::{
        boolean, integer, small_integer, string, text, text_null, timestamp_with_time_zone,
        timestamp_with_time_zone_null, uuid, uuid_null,
    },
};

use crate::parts::{id, index, table};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        schedules(manager).await?;
        occurrences(manager).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

async fn schedules(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut of_account = ForeignKey::create();
    of_account.from("schedules", "account_id").to("accounts", "id");
    let schedules = table("schedules")
        .col(id())
        .col(uuid("account_id"))
        .col(string("name"))
        .col(string("cron"))
        .col(string("time_zone"))
        .col(text("prompt"))
        // Not foreign keys: a start with a deleted agent or thread is refused, and the history says so.
        .col(uuid_null("agent_id"))
        .col(uuid_null("thread_id"))
        .col(string("model"))
        .col(string("mode"))
        .col(small_integer("overlap"))
        .col(integer("max_failures"))
        .col(boolean("paused"))
        .col(text_null("paused_reason"))
        // NULL while the schedule is paused, or if no occurrence follows.
        .col(timestamp_with_time_zone_null("next_at"))
        // Failures of earlier occurrences no longer count.
        .col(timestamp_with_time_zone("counted_from"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .foreign_key(&mut of_account)
        .take();
    manager.create_table(schedules).await
}

async fn occurrences(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut number = ColumnDef::new("number");
    number.big_integer().not_null().auto_increment().primary_key();
    let mut of_schedule = ForeignKey::create();
    of_schedule
        .from("schedule_runs", "schedule_id")
        .to("schedules", "id")
        .on_delete(ForeignKeyAction::Cascade);
    let runs = table("schedule_runs")
        .col(number)
        .col(uuid("schedule_id"))
        .col(uuid("account_id"))
        .col(timestamp_with_time_zone("occurrence"))
        .col(boolean("manual"))
        // 0: pending, 1: started, 2: refused, 3: skipped.
        .col(small_integer("outcome"))
        .col(timestamp_with_time_zone("due_at"))
        .col(uuid_null("run_id"))
        .col(uuid_null("thread_id"))
        .col(text_null("error_code"))
        .col(text_null("message"))
        .col(timestamp_with_time_zone("created_at"))
        .foreign_key(&mut of_schedule)
        .take();
    manager.create_table(runs).await
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        index("schedules_by_account", "schedules", &["account_id", "id"]),
        index("schedules_due", "schedules", &["next_at"])
            .and_where(Expr::col("next_at").is_not_null())
            .take(),
        index("schedule_runs_by_number", "schedule_runs", &["schedule_id", "number"]),
        index(
            "schedule_runs_once",
            "schedule_runs",
            &["schedule_id", "occurrence", "manual"],
        )
        .unique()
        .take(),
        index("schedule_runs_pending", "schedule_runs", &["due_at"])
            .and_where(Expr::col("outcome").eq(Expr::val(0)))
            .take(),
        index("schedule_runs_attempts", "schedule_runs", &["schedule_id", "number"])
            .and_where(Expr::col("outcome").lt(Expr::val(3)))
            .take(),
        index("schedule_runs_by_age", "schedule_runs", &["created_at"]),
    ]
}
