//! Replaces the index over all states of runs with one partial index per state.
//!
//! PostgreSQL uses the same plan for every state. With one index, listing a rare state could read almost all runs of
//! the account.

use sea_orm_migration::prelude::*;

use crate::parts::index;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// Name of each index, and its status number (`RunStatus` in the contract).
const STATES: [(&str, i32); 4] = [
    ("runs_running", 1),
    ("runs_completed", 2),
    ("runs_failed", 3),
    ("runs_stopped", 4),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, state) in STATES {
            let state = Expr::col("status").eq(Expr::cust(state.to_string()));
            manager
                .create_index(index(name, "runs", &["account_id", "id"]).and_where(state).take())
                .await?;
        }
        manager
            .drop_index(Index::drop().name("runs_by_state").table("runs").to_owned())
            .await
    }
}
