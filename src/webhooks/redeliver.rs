//! Queues deliveries on request: a finished delivery again, or a test.

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
    sea_query::Expr,
};
use uuid::Uuid;

use super::{
    deliveries, event, list,
    table::delivery::{ActiveModel, Column, Entity, Model, State},
};
use crate::{
    accounts::{Caller, ensure, queue},
    app::App,
    db::Tx,
    error::{Code, Error, Result},
    id,
};

/// Queues a finished delivery again. A pending delivery does not change.
///
/// # Errors
/// `WEBHOOK_NOT_FOUND`; `WEBHOOK_DELIVERY_NOT_FOUND`; CONFLICT if the webhook is disabled.
pub async fn redeliver(app: &App, caller: &Caller, webhook_id: Uuid, sent_id: Uuid) -> Result<Model> {
    list::load(app.db.read(), caller.scope(), webhook_id).await?;
    let now = app.clock.now();
    let tx = begin(app, caller, webhook_id, "webhooks.redeliver").await?;
    let mut row = deliveries::load(&tx, caller.scope(), webhook_id, sent_id).await?;
    if matches!(row.state, State::New | State::Queued) {
        return Ok(row);
    }
    row.state = State::New;
    row.queued_at = now;
    row.due_at = now;
    row.finished_at = None;
    Entity::update_many()
        .col_expr(Column::State, Expr::value(row.state))
        .col_expr(Column::QueuedAt, Expr::value(now))
        .col_expr(Column::DueAt, Expr::value(now))
        .col_expr(Column::FinishedAt, Expr::value(row.finished_at))
        .filter(Column::AccountId.eq(caller.account_id))
        .filter(Column::Id.eq(sent_id))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(row)
}

/// Queues a test.
///
/// # Errors
/// `WEBHOOK_NOT_FOUND`; CONFLICT if the webhook is disabled.
pub async fn test(app: &App, caller: &Caller, webhook_id: Uuid) -> Result<Model> {
    list::load(app.db.read(), caller.scope(), webhook_id).await?;
    let now = app.clock.now();
    let tx = begin(app, caller, webhook_id, "webhooks.test").await?;
    let row = Model {
        number: 0,
        id: id::new(),
        webhook_id,
        account_id: caller.account_id,
        event: event::TEST,
        run_id: None,
        thread_id: None,
        project_id: None,
        agent_id: None,
        sequence: 0,
        state: State::New,
        attempts: 0,
        created_at: now,
        queued_at: now,
        due_at: now,
        attempted_at: None,
        finished_at: None,
        response_status: None,
        duration_ms: None,
        response: None,
        error: None,
    };
    let new = ActiveModel {
        number: NotSet,
        id: Set(row.id),
        ..row.clone().into_active_model().reset_all()
    };
    Entity::insert(new).exec_without_returning(&tx).await?;
    tx.commit().await?;
    Ok(row)
}

/// Begins a transaction, locks the account and checks that the webhook is enabled.
async fn begin(app: &App, caller: &Caller, webhook_id: Uuid, name: &'static str) -> Result<Tx> {
    let tx = queue::begin(app, caller.account_id, name).await?;
    ensure::lock(&tx, caller.account_id).await?;
    let webhook = list::load(&tx, caller.scope(), webhook_id).await?;
    if webhook.enabled {
        return Ok(tx);
    }
    let message = "the webhook is disabled; enable it before you send deliveries";
    Err(Error::new(Code::Conflict, message))
}
