//! The audit log of administrator actions.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, entity::prelude::*};

use crate::{
    accounts::{Caller, Owned},
    app::App,
    db::Tx,
    error::Result,
    id,
};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_entries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub actor_id: Uuid,
    /// The changed account.
    pub account_id: Uuid,
    /// Name of the action, such as `account.tier`.
    pub action: String,
    /// Details, such as the old and the new tier.
    pub detail: String,
    pub created_at: DateTime<Utc>,
}

/// `SeaORM` requires this type. Joins are written by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Owned for Entity {
    fn owner() -> Column {
        Column::AccountId
    }
}

/// `what` is the action and its detail. `tx` must be the transaction that changes the account.
pub(super) async fn record(app: &App, tx: &Tx, caller: &Caller, account_id: Uuid, what: (&str, &str)) -> Result<()> {
    let (action, detail) = what;
    let row = ActiveModel {
        id: Set(id::new()),
        actor_id: Set(caller.account_id),
        account_id: Set(account_id),
        action: Set(action.to_owned()),
        detail: Set(detail.to_owned()),
        created_at: Set(app.clock.now()),
    };
    Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}
