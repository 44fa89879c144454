//! Sets the tier of an account.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::table::{Column, Entity};
use crate::{config::Tier, db::Tx, error::Result};

/// The calling function must have locked the account.
pub async fn set(tx: &Tx, account_id: Uuid, tier: &Tier) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::Tier, Expr::value(tier.name.as_str()))
        .filter(Column::Id.eq(account_id))
        .exec(tx)
        .await?;
    Ok(())
}
