//! Adds the links between a run and the runs of its subagents.

use sea_orm_migration::{
    prelude::*,
    schema::{text_null, uuid_null},
};

use crate::parts::index;

/// Number of the kind of an input that a subagent answers.
const TASK: i32 = 4;

/// Indexes for lists of threads: name and columns.
const LISTED: [(&str, &[&str]); 1] = [("threads_by_activity", &["account_id", "updated_at", "id"])];

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            ("runs", uuid_null("parent_run_id")),
            ("runs", text_null("parent_call_id")),
            ("threads", uuid_null("parent_run_id")),
        ];
        for (table, column) in columns {
            manager
                .alter_table(Table::alter().table(table).add_column(column).take())
                .await?;
        }
        let children = index("runs_by_parent", "runs", &["parent_run_id", "id"])
            .and_where(Expr::col("parent_run_id").is_not_null())
            .take();
        manager.create_index(children).await?;
        // Lists of threads leave out those of subagents.
        for (name, columns) in LISTED {
            manager
                .drop_index(Index::drop().name(name).table("threads").to_owned())
                .await?;
            let listed = index(name, "threads", columns)
                .and_where(Expr::col("parent_run_id").is_null())
                .take();
            manager.create_index(listed).await?;
        }
        let tasks = index("inputs_tasks", "inputs", &["id"])
            .and_where(Expr::col("kind").eq(TASK))
            .and_where(Expr::col("decision").is_null())
            .take();
        manager.create_index(tasks).await
    }
}
