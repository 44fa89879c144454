//! Allowances: tool calls of a thread that run without asking, because a person approved them for the whole thread.

use sea_orm::{
    ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, entity::prelude::*,
};
use serde_json::Value;

use super::{Input, parsed};
use crate::{
    accounts::{Owned, Scope, of},
    agents::approvals::command,
    db::Tx,
    error::Result,
    id,
};

/// Maximum number of allowances per thread. Later ones have no effect.
const MAX_PER_THREAD: u64 = 1_000;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "allowances")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: Uuid,
    pub thread_id: Uuid,
    pub tool: String,
    /// The command of `bash`; empty for other tools.
    pub command: String,
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

impl Model {
    pub fn covers(&self, tool: &str, arguments: &Value) -> bool {
        self.tool == tool && self.command == command(arguments)
    }
}

pub async fn of_thread(db: &impl ConnectionTrait, scope: Scope, thread_id: Uuid) -> Result<Vec<Model>> {
    Ok(of::<Entity>(scope)
        .filter(Column::ThreadId.eq(thread_id))
        .order_by_asc(Column::Id)
        .limit(MAX_PER_THREAD)
        .all(db)
        .await?)
}

/// Allows later calls like that of an approved input. The approved arguments count.
pub(super) async fn allow(tx: &Tx, input: &Input) -> Result<()> {
    let arguments = parsed(input.edited.as_ref().unwrap_or(&input.arguments));
    let known = of_thread(tx, Scope::account(input.account_id), input.thread_id).await?;
    if known.iter().any(|allowance| allowance.covers(&input.name, &arguments)) {
        return Ok(());
    }
    let row = Model {
        id: id::new(),
        account_id: input.account_id,
        thread_id: input.thread_id,
        tool: input.name.clone(),
        command: command(&arguments).to_owned(),
    };
    Entity::insert(row.into_active_model())
        .exec_without_returning(tx)
        .await?;
    Ok(())
}
