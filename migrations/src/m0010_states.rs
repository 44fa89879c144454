//! One partial index for each state of a run, instead of one index over all states.
//!
//! PostgreSQL plans a list by state for every value of a parameter. If almost all runs had one state, it could read all
//! runs of an account to find the few of another. A partial index holds the runs of one state only.

use sea_orm_migration::prelude::*;

use crate::parts::index;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// The indexes, and the state of the runs in each.
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
