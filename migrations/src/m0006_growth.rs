//! Indexes that keep every statement fast however many finished runs there are, and the times by which threads and
//! projects are now ordered.
//!
//! Each list has an index in its own order. Frequent queries, such as for runs that wait for a worker, use a partial
//! index that excludes finished runs. Unused indexes are dropped, because every start of a run pays for each index.

use sea_orm_migration::prelude::*;

use crate::parts::index;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// Indexes that are replaced by others: table and name.
const REPLACED: [(&str, &str); 9] = [
    ("runs", "runs_unfinished"),
    ("threads", "threads_by_account"),
    ("threads", "threads_by_project"),
    ("projects", "projects_by_account"),
    ("agents", "agents_by_account"),
    ("uploads", "uploads_by_age"),
    ("ledger_entries", "ledger_by_account"),
    ("ledger_entries", "ledger_by_thread"),
    ("agents", "agents_deleted"),
];

/// Indexes over all rows: name, table and columns.
const WHOLE: [(&str, &str, &[&str]); 5] = [
    ("runs_by_state", "runs", &["account_id", "status", "id"]),
    ("runs_by_thread_state", "runs", &["thread_id", "status", "id"]),
    ("threads_by_activity", "threads", &["account_id", "updated_at", "id"]),
    (
        "threads_of_project_by_activity",
        "threads",
        &["project_id", "updated_at", "id"],
    ),
    ("projects_by_activity", "projects", &["account_id", "updated_at", "id"]),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, name) in REPLACED {
            manager
                .drop_index(Index::drop().name(name).table(table).to_owned())
                .await?;
        }
        for (name, table, columns) in WHOLE {
            manager.create_index(index(name, table, columns).take()).await?;
        }
        for partial in partial() {
            manager.create_index(partial).await?;
        }
        date_activity(manager).await
    }
}

fn partial() -> Vec<IndexCreateStatement> {
    let is = |column: &'static str, value: i32| Expr::col(column).eq(value);
    let is_live = || Expr::col("deleted_at").is_null();
    vec![
        // The status 1 is `running`; the statements also contain the number as a literal.
        index("runs_unfinished", "runs", &["id"])
            .and_where(is("status", 1))
            .take(),
        // Runs that were ended from outside and that their worker has not released yet.
        index("runs_held", "runs", &["account_id", "thread_id"])
            .and_where(Expr::col("status").ne(1))
            .and_where(Expr::col("lease_expires_at").is_not_null())
            .take(),
        // Files of a run that are not in the workspace yet.
        index("uploads_coming", "uploads", &["account_id"])
            .and_where(Expr::col("run_id").is_not_null())
            .and_where(Expr::col("placed").eq(false))
            .take(),
        // The book 3 holds the cost of model calls.
        index("ledger_charges", "ledger_entries", &["account_id", "id"])
            .and_where(is("credited", 3))
            .take(),
        // Created last: of two equally useful indexes SQLite chooses the later one, and a thread has fewer entries.
        index("ledger_charges_by_thread", "ledger_entries", &["thread_id", "id"])
            .and_where(is("credited", 3))
            .take(),
        index("api_keys_in_use", "api_keys", &["account_id"])
            .and_where(Expr::col("revoked_at").is_null())
            .take(),
        index("agents_by_creation", "agents", &["account_id", "created_at", "id"])
            .and_where(is_live())
            .take(),
        index("agents_by_change", "agents", &["account_id", "updated_at", "id"])
            .and_where(is_live())
            .take(),
        index("agents_by_name", "agents", &["account_id", "name", "id"])
            .and_where(is_live())
            .take(),
        index("agents_deleted", "agents", &["id"])
            .and_where(Expr::col("deleted_at").is_not_null())
            .take(),
    ]
}

// Before this migration, starting a run did not change `updated_at`. SQLite compares these times as texts, which sort
// the same way.
async fn date_activity(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let newer = |parent: &str, child: &str, key: &str, column: &str| {
        format!(
            "UPDATE {parent} SET updated_at = (SELECT MAX(c.{column}) FROM {child} c WHERE c.{key} = {parent}.id) \
            WHERE updated_at < (SELECT MAX(c.{column}) FROM {child} c WHERE c.{key} = {parent}.id)"
        )
    };
    let connection = manager.get_connection();
    connection
        .execute_unprepared(&newer("threads", "runs", "thread_id", "created_at"))
        .await?;
    connection
        .execute_unprepared(&newer("projects", "threads", "project_id", "updated_at"))
        .await
        .map(drop)
}
