//! Queries for charges: the ledger entries that credit `Book::Used`.

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
    id::IdRange,
};

#[derive(Clone, Debug, Default)]
pub struct Listing {
    pub thread_id: Option<Uuid>,
    pub run_id: Option<Uuid>,
    pub created_after: Option<DateTime<Utc>>,
    pub created_before: Option<DateTime<Utc>>,
    /// Page cursor: the last charge of the previous page.
    pub before: Option<Uuid>,
    pub limit: u64,
}

/// Lists charges, newest first. Charges are kept when their run or thread is deleted.
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
    // An id contains the creation time of its row, so the index on ids also finds the rows of a time range.
    let span = IdRange::of(listing.created_after, listing.created_before, listing.before);
    if let Some(from) = span.from {
        query = query.filter(Column::Id.gte(from));
    }
    if let Some(below) = span.below {
        query = query.filter(Column::Id.lt(below));
    }
    Ok(query.order_by_desc(Column::Id).limit(listing.limit).all(db).await?)
}

/// Lists the charges of a run, last step first. A filter or order by id would make SQLite scan all charges of the
/// account. This query uses the index on run and step instead.
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
    // All charges of a run have the same thread, so this filter keeps all rows or none.
    if let Some(thread_id) = listing.thread_id {
        rows.retain(|row| row.thread_id == Some(thread_id));
    }
    Ok(rows)
}

/// A charge credits `Book::Used`, whose number is 3. The number is a literal, because a database does not use a
/// partial index for a bound parameter.
fn is_charge() -> Expr {
    Expr::col((Entity, Column::Credited)).eq(Expr::cust("3"))
}
