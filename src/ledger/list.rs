//! Reading what was charged.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::table::entry::{Column, Entity, Model};
use crate::{
    accounts::{Scope, of},
    error::Result,
    id::Span,
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
    /// Maximum number of rows.
    pub limit: u64,
}

/// Lists charges, newest first. They outlive the runs and threads that they name.
///
/// # Errors
/// Database errors.
pub async fn list(db: &impl ConnectionTrait, scope: Scope, listing: &Listing) -> Result<Vec<Model>> {
    let mut query = of::<Entity>(scope).filter(is_charge());
    if let Some(after) = listing.created_after {
        query = query.filter(Column::CreatedAt.gte(after));
    }
    if let Some(before) = listing.created_before {
        query = query.filter(Column::CreatedAt.lt(before));
    }
    if let Some(run_id) = listing.run_id {
        return of_run(db, query, run_id, listing).await;
    }
    if let Some(thread_id) = listing.thread_id {
        query = query.filter(Column::ThreadId.eq(thread_id));
    }
    // The times are found by the ids, which say them, too.
    let span = Span::of(listing.created_after, listing.created_before, listing.before);
    if let Some(from) = span.from {
        query = query.filter(Column::Id.gte(from));
    }
    if let Some(below) = span.below {
        query = query.filter(Column::Id.lt(below));
    }
    Ok(query.order_by_desc(Column::Id).limit(listing.limit).all(db).await?)
}

/// Lists the charges of a run in the order of its steps, which has an index: a condition or an order by the id would make
/// SQLite search all charges of the account.
async fn of_run(
    db: &impl ConnectionTrait,
    mut query: Select<Entity>,
    run_id: Uuid,
    listing: &Listing,
) -> Result<Vec<Model>> {
    query = query.filter(Column::RunId.eq(run_id));
    if let Some(before) = listing.before {
        let step = of::<Entity>(Scope::system("the charge is compared with those of a scope"))
            .select_only()
            .column(Column::Step)
            .filter(Column::Id.eq(before))
            .into_query();
        query = query.filter(Expr::col((Entity, Column::Step)).lt(Expr::from(step)));
    }
    let mut rows = query.order_by_desc(Column::Step).limit(listing.limit).all(db).await?;
    // All charges of a run name the same thread.
    if let Some(thread_id) = listing.thread_id {
        rows.retain(|row| row.thread_id == Some(thread_id));
    }
    Ok(rows)
}

/// Whether an entry is a charge. The number is written out: the index of the charges is used only then.
fn is_charge() -> Expr {
    Expr::col((Entity, Column::Credited)).eq(Expr::cust("3"))
}
