//! Adds approvals of agents, waiting runs with their inputs, the reasons of stops, and the column `runs.options` for
//! settings that few runs have.
//!
//! A waiting run keeps the status 1 (`running`), so that it still holds its slot and its place in the thread. The
//! indexes of runs that a worker may claim leave waiting runs out; otherwise each claim would read all of them.

use sea_orm_migration::{
    prelude::*,
    schema::{
        boolean, small_integer, small_integer_null, string, text, text_null, timestamp_with_time_zone,
        timestamp_with_time_zone_null, uuid,
    },
};

use crate::parts::{id, index, table};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// Indexes of runs that a worker may claim: name and columns.
const CLAIMABLE: [(&str, &[&str]); 2] = [
    ("runs_unfinished", &["id"]),
    ("runs_claimable", &["lease_expires_at", "id"]),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut waited = ColumnDef::new("waited_ms");
        waited.big_integer().not_null().default(0);
        let columns = [
            timestamp_with_time_zone_null("waiting_since"),
            waited,
            text_null("options"),
            small_integer_null("stop_reason"),
        ];
        for column in columns {
            manager
                .alter_table(Table::alter().table("runs").add_column(column).take())
                .await?;
        }
        for (name, columns) in CLAIMABLE {
            manager
                .drop_index(Index::drop().name(name).table("runs").to_owned())
                .await?;
            let claimable = index(name, "runs", columns)
                .and_where(Expr::col("status").eq(1))
                .and_where(Expr::col("waiting_since").is_null())
                .take();
            manager.create_index(claimable).await?;
        }
        let waiting = index("runs_waiting", "runs", &["account_id", "id"])
            .and_where(Expr::col("waiting_since").is_not_null())
            .take();
        manager.create_index(waiting).await?;
        let mut approvals = ColumnDef::new("approvals");
        approvals.json_binary().not_null().default("{}");
        manager
            .alter_table(Table::alter().table("agent_versions").add_column(approvals).take())
            .await?;
        inputs(manager).await?;
        allowances(manager).await
    }
}

/// Calls that run without asking, because their approval was given for the whole thread.
async fn allowances(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut of_thread = ForeignKey::create();
    of_thread
        .from("allowances", "thread_id")
        .to("threads", "id")
        .on_delete(ForeignKeyAction::Cascade);
    manager
        .create_table(
            table("allowances")
                .col(id())
                .col(uuid("account_id"))
                .col(uuid("thread_id"))
                .col(string("tool"))
                // The command of bash; empty for other tools.
                .col(text("command"))
                .foreign_key(&mut of_thread)
                .take(),
        )
        .await?;
    manager
        .create_index(index("allowances_by_thread", "allowances", &["thread_id", "id"]).take())
        .await
}

async fn inputs(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut of_run = ForeignKey::create();
    of_run
        .from("inputs", "run_id")
        .to("runs", "id")
        .on_delete(ForeignKeyAction::Cascade);
    manager
        .create_table(
            table("inputs")
                .col(id())
                .col(uuid("account_id"))
                .col(uuid("thread_id"))
                .col(uuid("run_id"))
                .col(small_integer("kind"))
                .col(string("tool_call_id"))
                .col(string("name"))
                // JSON.
                .col(text("arguments"))
                .col(text_null("schema"))
                .col(text("message"))
                .col(boolean("fails_run"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("expires_at"))
                // Null while the input is pending.
                .col(small_integer_null("decision"))
                .col(text_null("edited"))
                .col(text("text"))
                .col(boolean("is_error"))
                .col(timestamp_with_time_zone_null("answered_at"))
                // True after a worker has recorded that it continues the run with this answer.
                .col(boolean("consumed"))
                .foreign_key(&mut of_run)
                .take(),
        )
        .await?;
    manager
        .create_index(index("inputs_by_run", "inputs", &["run_id", "id"]).take())
        .await?;
    for (name, columns) in [
        ("inputs_pending", &["account_id", "id"][..]),
        ("inputs_expiring", &["expires_at", "id"]),
    ] {
        let pending = index(name, "inputs", columns)
            .and_where(Expr::col("decision").is_null())
            .take();
        manager.create_index(pending).await?;
    }
    Ok(())
}
