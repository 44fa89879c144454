//! The record of what administrators did: who, what, to whom, when.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, entity::prelude::*};

use crate::{
    accounts::{Caller, Owned},
    app::App,
    db::Tx,
    error::Result,
    id,
};

/// One thing that an administrator did.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_entries")]
pub struct Model {
    /// The entry's UUID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The account of the administrator.
    pub actor_id: Uuid,
    /// The account that was changed.
    pub account_id: Uuid,
    /// What was done, such as `account.tier`.
    pub action: String,
    /// The facts of it.
    pub detail: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Required by `SeaORM`; joins are written by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Owned for Entity {
    fn owner() -> Column {
        Column::AccountId
    }
}

/// Records what an administrator does, in the transaction that does it.
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
