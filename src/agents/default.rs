//! The default agent of an account, which a run uses if its `StartRun` request names no agent. The database allows
//! only one per account.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};

use super::{list::live, table::agent};
use crate::{
    accounts::{Owned, Scope},
    db::Tx,
    error::Result,
};

/// Databases use the partial index `agents_one_default` only if the condition is a literal, not a bound parameter.
pub(super) fn is_default() -> Expr {
    Expr::col((agent::Entity, agent::Column::IsDefault)).eq(Expr::cust("TRUE"))
}

pub(super) async fn unset(tx: &Tx, scope: Scope, now: DateTime<Utc>) -> Result<()> {
    let Some(row) = live(scope).filter(is_default()).one(tx).await? else {
        return Ok(());
    };
    agent::Entity::update_many()
        .col_expr(agent::Column::IsDefault, Expr::value(false))
        .col_expr(agent::Column::UpdatedAt, Expr::value(now))
        .filter(agent::Entity::owner().eq(row.account_id))
        .filter(agent::Column::Id.eq(row.id))
        .exec(tx)
        .await?;
    Ok(())
}

pub async fn find(db: &impl ConnectionTrait, scope: Scope) -> Result<Option<agent::Model>> {
    Ok(live(scope).filter(is_default()).one(db).await?)
}
