//! The default agent of an account. A run uses the default agent if the `StartRun` request names no agent. The database
//! allows only one default agent per account.

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

/// Returns the condition that selects default agents. It contains the literal `TRUE`, because databases do not use the
/// partial index `agents_one_default` for a bound parameter.
pub(super) fn is_default() -> Expr {
    Expr::col((agent::Entity, agent::Column::IsDefault)).eq(Expr::cust("TRUE"))
}

/// Clears `is_default` on the account's default agent, if the account has one.
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

/// Returns the account's default agent; `None` if the account has no default agent.
///
/// # Errors
/// Database errors.
pub async fn find(db: &impl ConnectionTrait, scope: Scope) -> Result<Option<agent::Model>> {
    Ok(live(scope).filter(is_default()).one(db).await?)
}
