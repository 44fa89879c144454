//! Inputs that the runs of subagents answer ([`Kind::Task`](super::Kind::Task)). The text of a pending input is the id of its
//! child run, or empty if the parent's stream does not contain the start of the child.

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Expr,
};
use uuid::Uuid;

use super::{
    Input, list,
    table::{Column, Entity},
};
use crate::{
    accounts::{Scope, of},
    db::Tx,
    error::Result,
};

/// Inputs whose child must be started, or has ended. The kind is a literal, so that the query can use the partial index.
const DUE: &str = "inputs.kind = 4 AND (inputs.text = '' OR EXISTS (SELECT 1 FROM runs AS child \
                   WHERE child.parent_run_id = inputs.run_id AND child.parent_call_id = inputs.tool_call_id \
                   AND child.status <> 1))";

/// Lists the inputs of all accounts whose child must be started or has ended, after an id.
pub async fn due(db: &impl ConnectionTrait, after: Uuid, limit: u64) -> Result<Vec<Input>> {
    let inputs = of::<Entity>(Scope::system("the server starts subagents and passes on their results"))
        .filter(Expr::cust(DUE))
        .filter(Column::Decision.is_null())
        .filter(Column::Id.gt(after))
        .order_by_asc(Column::Id)
        .limit(limit);
    Ok(inputs.all(db).await?)
}

/// Loads the pending inputs of a run, oldest first.
pub async fn pending(tx: &Tx, scope: Scope, run_id: Uuid) -> Result<Vec<Input>> {
    list::of_run(tx, scope, run_id, Column::Decision.is_null()).await
}

/// Stores the child of an input. Returns false if the input has a child or a decision.
pub async fn store_child(tx: &Tx, input: &Input, child: Uuid) -> Result<bool> {
    let current = of::<Entity>(Scope::account(input.account_id))
        .filter(Column::Id.eq(input.id))
        .one(tx)
        .await?;
    let Some(current) = current.filter(|row| row.decision.is_none() && row.text.is_empty()) else {
        return Ok(false);
    };
    let mut row = current.into_active_model();
    row.text = Set(child.to_string());
    Entity::update(row).exec(tx).await?;
    Ok(true)
}
