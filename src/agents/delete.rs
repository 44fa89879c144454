//! Deleting an agent. The agent's row is only marked as deleted, because unfinished runs still need the agent's
//! versions. After the agent's last run has ended, the sweeper (`background/sweeper.rs`) removes the row. The agent's
//! runs and threads stay readable.

use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait, Query},
};
use uuid::Uuid;

use super::{list::load_row, table::agent, update};
use crate::{
    accounts::{Caller, Scope, of, queue},
    app::App,
    db::Sql,
    error::{Code, Error, Result},
};

// Names the table `memories` directly, because a use of the module `memories` would form a dependency cycle.
const FORGET: Sql = Sql::new("DELETE FROM memories WHERE account_id = $1 AND agent_id = $2");

/// Deletes the agent's memories and marks the agent as deleted. [`purge`] removes the row later.
///
/// # Errors
/// `AGENT_NOT_FOUND`; CONFLICT for the default agent.
pub async fn delete(app: &App, caller: &Caller, agent_id: Uuid) -> Result<()> {
    load_row(app.db.read(), caller.scope(), agent_id).await?;
    let tx = queue::begin_locked(app, caller.account_id, "agents.delete").await?;
    let mut row = load_row(&tx, caller.scope(), agent_id).await?;
    if row.is_default {
        let message = "the default agent cannot be deleted; make another agent the default first";
        return Err(Error::new(Code::Conflict, message));
    }
    let now = app.clock.now();
    row.deleted_at = Some(now);
    update::write(&tx, &mut row, now).await?;
    tx.change(FORGET.with([caller.account_id.into(), agent_id.into()]))
        .await?;
    tx.commit().await
}

/// Removes up to `limit` deleted agents that have no unfinished run, with their versions. Returns the number of
/// removed agents.
pub async fn purge(app: &App, limit: u64) -> Result<u64> {
    // Names the table `runs` directly, because a use of the module `runs` would form a dependency cycle. Status 1 is
    // `running`.
    let run = |column: &'static str| Expr::col(("runs", column));
    let needed = Query::select()
        .expr(Expr::cust("1"))
        .from("runs")
        .and_where(run("status").eq(Expr::cust("1")))
        .and_where(run("account_id").equals((agent::Entity, agent::Column::AccountId)))
        .and_where(run("agent_id").equals((agent::Entity, agent::Column::Id)))
        .take();
    let unused: Vec<Uuid> = of::<agent::Entity>(Scope::system("agents that were deleted"))
        .select_only()
        .column(agent::Column::Id)
        .filter(agent::Column::DeletedAt.is_not_null())
        .filter(Expr::exists(needed).not())
        .limit(limit)
        .into_tuple()
        .all(app.db.read())
        .await?;
    if unused.is_empty() {
        return Ok(0);
    }
    let tx = app.db.begin("agents.purge").await?;
    let removed = agent::Entity::delete_many()
        .filter(agent::Column::Id.is_in(unused))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(removed.rows_affected)
}
