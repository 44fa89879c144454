//! Deletes threads that have not changed for a long time, if the operator configures it.
//!
//! Projects that have no threads left are deleted with their files. A thread with an active run stays.

use chrono::{DateTime, TimeDelta, Utc};
use tracing::info;
use uuid::Uuid;

use super::remove;
use crate::{
    accounts::Scope,
    app::App,
    error::{Code, Result},
    projects, threads,
};

/// Number of rows that one query returns.
const PAGE: u64 = 200;
/// Maximum number of threads, and of projects, that one call deletes.
const MAX_DELETED: usize = 2_000;

/// Deletes what has not changed for `retention.unchanged_days` days; nothing if the number is 0.
pub async fn purge(app: &App) -> Result<()> {
    let days = i64::try_from(app.config.retention.unchanged_days).unwrap_or(i64::MAX);
    let Some(before) = TimeDelta::try_days(days).and_then(|age| app.clock.now().checked_sub_signed(age)) else {
        return Ok(());
    };
    if days == 0 {
        return Ok(());
    }
    let deleted = old_threads(app, before).await?;
    let emptied = empty_projects(app, before).await?;
    if deleted + emptied > 0 {
        info!(
            threads = deleted,
            projects = emptied,
            "deleted threads and projects that have not changed for a long time"
        );
    }
    Ok(())
}

async fn old_threads(app: &App, before: DateTime<Utc>) -> Result<usize> {
    let (mut deleted, mut after) = (0, Uuid::nil());
    let scope = Scope::system("old threads of all accounts");
    while deleted < MAX_DELETED {
        let page = threads::list::unchanged(app.db.read(), scope, before, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        for thread in &page {
            let removed = remove::old_thread(app, thread.account_id, thread.id, before).await;
            deleted += usize::from(unless_busy(removed)?);
        }
    }
    Ok(deleted)
}

async fn empty_projects(app: &App, before: DateTime<Utc>) -> Result<usize> {
    let (mut deleted, mut after) = (0, Uuid::nil());
    let scope = Scope::system("empty projects of all accounts");
    while deleted < MAX_DELETED {
        let page = projects::list::created_before(app.db.read(), scope, before, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        let used = threads::list::projects_of(app.db.read(), scope, page.iter().map(|project| project.id)).await?;
        for project in page.iter().filter(|project| !used.contains(&project.id)) {
            let removed = remove::empty_project(app, project.account_id, project.id).await;
            deleted += usize::from(unless_busy(removed)?);
        }
    }
    Ok(deleted)
}

fn unless_busy(removed: Result<bool>) -> Result<bool> {
    match removed {
        Err(error) if error.code() == Code::Conflict => Ok(false),
        removed => removed,
    }
}
