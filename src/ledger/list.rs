//! Reading what was charged.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::table::entry::{Book, Column, Entity, Model};
use crate::{
    accounts::{Scope, of},
    error::Result,
};

/// Which charges to list.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Only of this thread.
    pub thread_id: Option<Uuid>,
    /// Only of this run.
    pub run_id: Option<Uuid>,
    /// Only at or after this time.
    pub created_after: Option<DateTime<Utc>>,
    /// Only before this time.
    pub created_before: Option<DateTime<Utc>>,
    /// Only before this one, newest first.
    pub before: Option<Uuid>,
    /// Rows at most.
    pub limit: u64,
}

/// Lists charges, newest first. They outlive the runs and threads that they name.
///
/// # Errors
/// Those of the database.
pub async fn list(db: &impl ConnectionTrait, scope: Scope, listing: &Listing) -> Result<Vec<Model>> {
    let mut query = of::<Entity>(scope).filter(Column::Credited.eq(Book::Used));
    if let Some(thread_id) = listing.thread_id {
        query = query.filter(Column::ThreadId.eq(thread_id));
    }
    if let Some(run_id) = listing.run_id {
        query = query.filter(Column::RunId.eq(run_id));
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
