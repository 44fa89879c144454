//! Queries for runs.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, Iterable, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::Expr,
};
use uuid::Uuid;

use super::{
    Run, Status, start,
    table::{self, Column, Entity, has_status, is_unfinished},
};
use crate::{
    accounts::{Scope, of},
    db::Rows,
    error::{Code, Error, Result},
    events,
    id::IdRange,
};

/// A state by which runs are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Running or waiting.
    Unfinished,
    /// Unfinished, and not waiting.
    Running,
    Waiting,
    Ended(Status),
}

impl State {
    fn status(self) -> Status {
        match self {
            Self::Unfinished | Self::Running | Self::Waiting => Status::Running,
            Self::Ended(status) => status,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Listing {
    pub thread_id: Option<Uuid>,
    /// Lists only the runs that this run started as subagents.
    pub parent_run_id: Option<Uuid>,
    pub state: Option<State>,
    pub created_after: Option<DateTime<Utc>>,
    pub created_before: Option<DateTime<Utc>>,
    /// Page cursor: the last run of the previous page.
    pub before: Option<Uuid>,
    pub limit: u64,
}

pub async fn list(db: &impl ConnectionTrait, scope: Scope, listing: &Listing) -> Result<Vec<Run>> {
    let mut query = of::<Entity>(scope);
    if let Some(thread_id) = listing.thread_id {
        query = query.filter(Column::ThreadId.eq(thread_id));
    }
    if let Some(parent_run_id) = listing.parent_run_id {
        query = query.filter(Column::ParentRunId.eq(parent_run_id));
    }
    match listing.state {
        Some(State::Running) => query = query.filter(Column::WaitingSince.is_null()),
        Some(State::Waiting) => query = query.filter(Column::WaitingSince.is_not_null()),
        Some(State::Unfinished | State::Ended(_)) | None => {}
    }
    if let Some(status) = listing.state.map(State::status) {
        // The partial indexes of an account's runs need a literal status. The index of a thread's runs does not.
        query = query.filter(match listing.thread_id {
            Some(_) => Column::Status.eq(status),
            None => has_status(status),
        });
    }
    if let Some(after) = listing.created_after {
        query = query.filter(Column::CreatedAt.gte(after));
    }
    if let Some(before) = listing.created_before {
        query = query.filter(Column::CreatedAt.lt(before));
    }
    // An id contains the creation time of its row, so the index on ids also finds the rows of a time range.
    let span = IdRange::of(listing.created_after, listing.created_before, listing.before);
    if let Some(from) = span.from {
        query = query.filter(Column::Id.gte(from));
    }
    if let Some(below) = span.below {
        query = query.filter(Column::Id.lt(below));
    }
    let query = without_output(query.order_by_desc(Column::Id).limit(listing.limit));
    Ok(query.all(db).await?)
}

/// Leaves the outputs out, because a page of them could exceed the size of a response.
fn without_output(query: Select<Entity>) -> Select<Entity> {
    let columns = Column::iter().filter(|column| !matches!(column, Column::Output));
    query
        .select_only()
        .columns(columns)
        .expr_as(Expr::val(None::<String>), "output")
}

pub async fn load(db: &impl Rows, scope: Scope, run_id: Uuid) -> Result<Run> {
    let found = db.row(table::find(scope, run_id), table::read).await?;
    found.ok_or_else(not_found)
}

/// Loads runs in the order of the ids, which must be distinct. Several runs are loaded without their outputs. Fails with `RUN_NOT_FOUND` if one of the runs is
/// missing.
pub async fn load_all(db: &impl Rows, scope: Scope, run_ids: &[Uuid]) -> Result<Vec<Run>> {
    if let [run_id] = run_ids {
        return Ok(vec![load(db, scope, *run_id).await?]);
    }
    let rows = without_output(of::<Entity>(scope))
        .filter(Column::Id.is_in(run_ids.iter().copied()))
        .all(db)
        .await?;
    let mut rows: HashMap<Uuid, Run> = rows.into_iter().map(|run| (run.id, run)).collect();
    let ordered = run_ids.iter().map(|run_id| rows.remove(run_id).ok_or_else(not_found));
    ordered.collect()
}

/// Returns the runs with these ids. Runs that no longer exist are missing from the result.
pub async fn find_all(db: &impl ConnectionTrait, scope: Scope, run_ids: &[Uuid]) -> Result<Vec<Run>> {
    if run_ids.is_empty() {
        return Ok(Vec::new());
    }
    let query = of::<Entity>(scope).filter(Column::Id.is_in(run_ids.iter().copied()));
    Ok(query.all(db).await?)
}

/// Finds the run that a request with this `request_id` started.
pub async fn with_key(db: &impl ConnectionTrait, scope: Scope, request_key: &str) -> Result<Option<Run>> {
    let query = of::<Entity>(scope).filter(Column::RequestKey.eq(start::stored_key(request_key)));
    Ok(query.one(db).await?)
}

/// Counts the unfinished runs, including queued runs.
pub async fn count_unfinished(db: &impl ConnectionTrait, scope: Scope) -> Result<u64> {
    Ok(of::<Entity>(scope).filter(is_unfinished()).count(db).await?)
}

/// Sequence number of each run's newest event; 0 for a run without events.
pub async fn newest_events(db: &impl ConnectionTrait, scope: Scope, run_ids: &[Uuid]) -> Result<HashMap<Uuid, i64>> {
    let newest = events::newest_of((Entity, Column::Id));
    let rows: Vec<(Uuid, Option<i64>)> = of::<Entity>(scope)
        .select_only()
        .column(Column::Id)
        .expr_as(newest, "newest")
        .filter(Column::Id.is_in(run_ids.iter().copied()))
        .into_tuple()
        .all(db)
        .await?;
    let newest = rows
        .into_iter()
        .map(|(run_id, newest)| (run_id, newest.unwrap_or_default()));
    Ok(newest.collect())
}

fn not_found() -> Error {
    Error::new(Code::RunNotFound, "Agent run not found")
}
