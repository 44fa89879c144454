//! Stops runs. If a worker holds the run, that worker ends it. Otherwise the run ends at once.

use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, Func},
};
use uuid::Uuid;

use super::{
    Run, Status, StopReason, finish,
    journal::{RunEnd, Spent},
    list::load,
    report,
    table::{Column, Entity, is_unfinished},
};
use crate::{
    accounts::{Access, Caller, Role, of, queue},
    app::App,
    error::{Code, Result},
};

/// Number of runs that one query reads.
const PAGE: u64 = 100;

/// Stops all unfinished runs of an account. `by` names the actor.
///
/// # Errors
/// Database errors. The runs before the error were stopped.
pub async fn stop_all(app: &App, account_id: Uuid, by: &str) -> Result<()> {
    let caller = Caller {
        account_id,
        role: Role::User,
        access: Access::Run,
        name: by.into(),
    };
    let mut last = Uuid::nil();
    loop {
        let page: Vec<Uuid> = of::<Entity>(caller.scope())
            .select_only()
            .column(Column::Id)
            .filter(is_unfinished())
            .filter(Column::Id.gt(last))
            .order_by_asc(Column::Id)
            .limit(PAGE)
            .into_tuple()
            .all(app.db.read())
            .await?;
        for run_id in &page {
            match stop(app, &caller, *run_id).await {
                // The run was deleted in the meantime.
                Err(error) if error.code() == Code::RunNotFound => {}
                outcome => drop(outcome?),
            }
        }
        match page.last() {
            Some(id) if page.len() as u64 == PAGE => last = *id,
            _ => return Ok(()),
        }
    }
}

/// Requests that a run stop, and returns the run. If a worker holds the run, the returned run is still unfinished. A
/// run that has already ended does not change. The run was stopped by the first of several callers.
///
/// # Errors
/// `RUN_NOT_FOUND`.
pub async fn stop(app: &App, caller: &Caller, run_id: Uuid) -> Result<Run> {
    // Refuse a run of another account before locking the caller's account.
    load(app.db.read(), caller.scope(), run_id).await?;
    let tx = queue::begin_locked(app, caller.account_id, "runs.stop").await?;
    // The update locks the row: a worker that makes the run wait releases the lease before or after, not in between.
    let first = Func::coalesce([Expr::col(Column::StoppedBy), Expr::value(&*caller.name)]);
    Entity::update_many()
        .col_expr(Column::StopRequested, Expr::value(true))
        .col_expr(Column::StoppedBy, first.into())
        .filter(Column::AccountId.eq(caller.account_id))
        .filter(Column::Id.eq(run_id))
        .filter(Column::Status.eq(Status::Running))
        .exec(&tx)
        .await?;
    let run = load(&tx, caller.scope(), run_id).await?;
    if run.status != Status::Running {
        return Ok(run);
    }
    let now = app.clock.now();
    if run.lease_owner.is_none() {
        let ending = RunEnd::stopped_by(StopReason::Requested, run.stopped_by.clone());
        let ended = finish::finish(&tx, &run, &ending, now).await?;
        tx.commit().await?;
        if let Some(ended) = ended {
            ended.publish(app, run_id);
            report::ended(&run, Status::Stopped, None, Spent::of(&run), now);
        }
        app.wake.run_queued();
        app.wake.task_changed();
    } else {
        tx.commit().await?;
        app.wake.stop(run_id);
    }
    load(app.db.read(), caller.scope(), run_id).await
}
