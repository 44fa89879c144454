//! Reading runs.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::{
    Run, Status,
    table::{Column, Entity},
};
use crate::{
    accounts::{Scope, of},
    error::{Code, Error, Result},
};

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Only runs of this thread.
    pub thread_id: Option<Uuid>,
    /// Only runs in this state.
    pub status: Option<Status>,
    /// Only runs started at or after this time.
    pub created_after: Option<DateTime<Utc>>,
    /// Only runs started before this time.
    pub created_before: Option<DateTime<Utc>>,
    /// Only runs before this one, newest first.
    pub before: Option<Uuid>,
    /// Rows at most.
    pub limit: u64,
}

/// Lists runs, newest first.
///
/// # Errors
/// Those of the database.
pub async fn list(db: &impl ConnectionTrait, scope: Scope, listing: &Listing) -> Result<Vec<Run>> {
    let mut query = of::<Entity>(scope);
    if let Some(thread_id) = listing.thread_id {
        query = query.filter(Column::ThreadId.eq(thread_id));
    }
    if let Some(status) = listing.status {
        query = query.filter(Column::Status.eq(status));
    }
    if let Some(after) = listing.created_after {
        query = query.filter(Column::CreatedAt.gte(after));
    }
    if let Some(before) = listing.created_before {
        query = query.filter(Column::CreatedAt.lt(before));
    }
    if let Some(before) = listing.before {
        query = query.filter(Column::Id.lt(before));
    }
    Ok(query.order_by_desc(Column::Id).limit(listing.limit).all(db).await?)
}

/// Loads one run.
///
/// # Errors
/// `RUN_NOT_FOUND`.
pub async fn load(db: &impl ConnectionTrait, scope: Scope, run_id: Uuid) -> Result<Run> {
    let found = of::<Entity>(scope).filter(Column::Id.eq(run_id)).one(db).await?;
    found.ok_or_else(|| Error::new(Code::RunNotFound, "Agent run not found"))
}
