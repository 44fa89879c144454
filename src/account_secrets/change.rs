//! Changes and deletes secrets.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{
    create::{check_value, checked_hosts},
    list, sealed,
    table::{Column, Entity, Model},
};
use crate::{
    accounts::{Caller, queue},
    app::App,
    error::Result,
};

/// Changes of a secret. `None` keeps a field.
#[derive(Default)]
pub struct Changes {
    pub value: Option<SecretString>,
    pub hosts: Option<Vec<String>>,
}

/// # Errors
/// INVALID_REQUEST; `SECRET_NOT_FOUND`.
pub async fn update(app: &App, caller: &Caller, secret_id: Uuid, changes: Changes) -> Result<Model> {
    let before = list::load(app.db.read(), caller.scope(), secret_id).await?;
    let value = match &changes.value {
        Some(value) => {
            check_value(value)?;
            // The name never changes.
            Some(sealed(app, caller.account_id, &before.name, value.expose_secret())?)
        }
        None => None,
    };
    let hosts = changes.hosts.map(|hosts| checked_hosts(&hosts)).transpose()?;
    let now = app.clock.now();
    let tx = queue::begin_locked(app, caller.account_id, "account_secrets.update").await?;
    let mut row = list::load(&tx, caller.scope(), secret_id).await?;
    row.value = value.unwrap_or(row.value);
    row.hosts = hosts.unwrap_or(row.hosts);
    row.updated_at = now;
    Entity::update_many()
        .col_expr(Column::Value, Expr::value(row.value.as_str()))
        .col_expr(Column::Hosts, Expr::value(row.hosts.as_str()))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::AccountId.eq(caller.account_id))
        .filter(Column::Id.eq(secret_id))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(row)
}

/// # Errors
/// `SECRET_NOT_FOUND`.
pub async fn delete(app: &App, caller: &Caller, secret_id: Uuid) -> Result<()> {
    list::load(app.db.read(), caller.scope(), secret_id).await?;
    let tx = queue::begin_locked(app, caller.account_id, "account_secrets.delete").await?;
    list::load(&tx, caller.scope(), secret_id).await?;
    Entity::delete_many()
        .filter(Column::AccountId.eq(caller.account_id))
        .filter(Column::Id.eq(secret_id))
        .exec(&tx)
        .await?;
    tx.commit().await
}
