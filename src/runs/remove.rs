//! Deletes threads and projects together with their runs.
//!
//! While the account is locked, no new run can start. Foreign keys cascade the deletion to messages, runs, events and
//! uploads. Files are deleted after the commit. If the process crashes after the commit, the sweeper
//! (`background/sweeper.rs`) deletes the remaining files.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait},
};
use tokio::fs;
use uuid::Uuid;

use super::table::{Column, Entity, is_over, is_unfinished};
use crate::{
    accounts::{Caller, Scope, of, queue},
    app::App,
    db::Tx,
    error::{Code, Error, Result},
    projects, threads, uploads,
};

/// Deletes a thread with its messages and runs.
///
/// # Errors
/// `THREAD_NOT_FOUND`; CONFLICT while the thread has an active run.
pub async fn thread(app: &App, caller: &Caller, thread_id: Uuid) -> Result<()> {
    threads::load(app.db.read(), caller.scope(), thread_id).await?;
    let tx = queue::begin_locked(app, caller.account_id, "threads.delete").await?;
    threads::load(&tx, caller.scope(), thread_id).await?;
    locked_thread(app, tx, caller.account_id, thread_id).await
}

/// Deletes a thread that has not changed since `before`. Returns false if it has changed or does not exist.
///
/// # Errors
/// CONFLICT while the thread has an active run.
pub(super) async fn old_thread(app: &App, account_id: Uuid, thread_id: Uuid, before: DateTime<Utc>) -> Result<bool> {
    let tx = queue::begin_locked(app, account_id, "threads.purge").await?;
    let found = threads::find(&tx, Scope::account(account_id), thread_id).await?;
    if found.is_none_or(|thread| thread.updated_at >= before) {
        return Ok(false);
    }
    locked_thread(app, tx, account_id, thread_id).await?;
    Ok(true)
}

async fn locked_thread(app: &App, tx: Tx, account_id: Uuid, thread_id: Uuid) -> Result<()> {
    let scope = Scope::account(account_id);
    refuse_busy(app, &tx, scope, Column::ThreadId, thread_id).await?;
    let staged = staged(&tx, scope, Column::ThreadId, thread_id).await?;
    threads::delete(&tx, account_id, thread_id).await?;
    tx.commit().await?;
    forget(app, &staged).await;
    Ok(())
}

/// Deletes a project with its threads, runs and files.
///
/// # Errors
/// `PROJECT_NOT_FOUND`; CONFLICT while the project has an active run.
pub async fn project(app: &App, caller: &Caller, project_id: Uuid) -> Result<()> {
    projects::load(app.db.read(), caller.scope(), project_id).await?;
    let tx = queue::begin_locked(app, caller.account_id, "projects.delete").await?;
    projects::load(&tx, caller.scope(), project_id).await?;
    locked_project(app, tx, caller.account_id, project_id).await
}

/// Deletes a project without threads. Returns false if it has threads.
///
/// # Errors
/// CONFLICT while the project has an active run.
pub(super) async fn empty_project(app: &App, account_id: Uuid, project_id: Uuid) -> Result<bool> {
    let tx = queue::begin_locked(app, account_id, "projects.purge").await?;
    let used = threads::list(&tx, Scope::account(account_id), Some(project_id), None, 1).await?;
    if !used.is_empty() {
        return Ok(false);
    }
    locked_project(app, tx, account_id, project_id).await?;
    Ok(true)
}

async fn locked_project(app: &App, tx: Tx, account_id: Uuid, project_id: Uuid) -> Result<()> {
    let scope = Scope::account(account_id);
    refuse_busy(app, &tx, scope, Column::ProjectId, project_id).await?;
    let staged = staged(&tx, scope, Column::ProjectId, project_id).await?;
    projects::delete(&tx, account_id, project_id).await?;
    tx.commit().await?;
    forget(app, &staged).await;
    if let Err(fault) = projects::sandbox::discard(app, project_id).await {
        tracing::warn!(error = %fault, %project_id, "could not remove a project's files; the sweeper will retry");
    }
    Ok(())
}

// Fails if the thread or project has an active run. A run that a request has ended stays active while a worker holds
// its lease, because its processes may still write files.
async fn refuse_busy(app: &App, tx: &Tx, scope: Scope, column: Column, id: Uuid) -> Result<()> {
    let held = is_over().and(Column::LeaseExpiresAt.gt(app.clock.now()));
    let mut is_busy = false;
    for state in [is_unfinished(), held] {
        let found = of::<Entity>(scope)
            .select_only()
            .column(Column::Id)
            .filter(column.eq(id))
            .filter(state)
            .into_tuple::<Uuid>()
            .one(tx)
            .await?;
        is_busy |= found.is_some();
    }
    if !is_busy {
        return Ok(());
    }
    let what = if matches!(column, Column::ThreadId) {
        "thread"
    } else {
        "project"
    };
    let message = format!("the {what} has an active run; stop the run and wait until it has ended");
    Err(Error::new(Code::Conflict, message))
}

// Finds the uploaded files of the runs that will be deleted. Call this before the upload rows are deleted. The query
// starts with the account's unplaced uploads, because an account has fewer unplaced uploads than runs.
async fn staged(tx: &Tx, scope: Scope, column: Column, id: Uuid) -> Result<Vec<Uuid>> {
    let is_deleted = |run_id: Expr| {
        let run = of::<Entity>(scope)
            .select_only()
            .column(Column::Id)
            .filter(Expr::col((Entity, Column::Id)).eq(run_id))
            .filter(column.eq(id))
            .into_query();
        Expr::exists(run)
    };
    uploads::unplaced(tx, scope, is_deleted).await
}

async fn forget(app: &App, staged: &[Uuid]) {
    for upload_id in staged {
        drop(fs::remove_file(uploads::staged(app, *upload_id)).await);
    }
}
