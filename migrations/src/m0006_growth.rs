//! Adds indexes that keep every statement fast with many finished runs.
//!
//! Each list of the API has an index in the order of the list. Frequent queries use a partial index without finished
//! runs. Unused indexes are dropped, because every new row costs one entry per index. Lists of threads
//! and projects are now sorted by `updated_at`, so it is set to the time of the latest run where it is older.

use sea_orm_migration::prelude::*;

use crate::parts::index;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// Dropped indexes: table and name. [`partial`] creates two of these indexes again, with different columns.
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
        // Status 1 is `running`. A query must contain the 1 as a literal: with a bound parameter, the database does
        // not use a partial index.
        index("runs_unfinished", "runs", &["id"])
            .and_where(is("status", 1))
            .take(),
        // Runs that have ended, for example by a stop request, while their worker still holds the lease.
        index("runs_held", "runs", &["account_id", "thread_id"])
            .and_where(Expr::col("status").ne(1))
            .and_where(Expr::col("lease_expires_at").is_not_null())
            .take(),
        // Files of a run that are not in the workspace yet.
        index("uploads_coming", "uploads", &["account_id"])
            .and_where(Expr::col("run_id").is_not_null())
            .and_where(Expr::col("placed").eq(false))
            .take(),
        // Book 3 (`Used` in `src/ledger/table.rs`) receives the cost of model calls.
        index("ledger_charges", "ledger_entries", &["account_id", "id"])
            .and_where(is("credited", 3))
            .take(),
        // Must follow `ledger_charges`. Both indexes fit a query for one thread of an account, and SQLite then
        // chooses the later index. The index by thread yields fewer rows.
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

// Advances `updated_at` of each thread to the creation time of its latest run, and then `updated_at` of each project
// to the latest `updated_at` of its threads. Earlier versions of Runyard did not change `updated_at` when a run
// started. On SQLite, times are text in chronological order.
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
