//! Removes uploads that were not used within [`KEPT`]. Called by the sweeper (`background/sweeper.rs`).

use std::collections::HashSet;

use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::{
    KEPT, receive,
    table::{Column, Entity},
};
use crate::{
    accounts::{Scope, of},
    app::App,
    error::Result,
};

/// Removes up to `limit` expired uploads and their files. Returns the number of expired uploads found.
pub async fn discard_expired(app: &App, limit: u64) -> Result<usize> {
    let old = app.clock.now() - KEPT;
    let scope = Scope::system("uploads that no run used");
    let expired: Vec<Uuid> = of::<Entity>(scope)
        .select_only()
        .column(Column::Id)
        .filter(Column::RunId.is_null())
        .filter(Column::CreatedAt.lt(old))
        .limit(limit)
        .into_tuple()
        .all(app.db.read())
        .await?;
    if !expired.is_empty() {
        receive::discard(app, scope, &expired).await?;
    }
    Ok(expired.len())
}

/// Returns the subset of `ids` for which an upload exists in the scope.
pub async fn known(
    db: &impl ConnectionTrait,
    scope: Scope,
    ids: impl ExactSizeIterator<Item = Uuid>,
) -> Result<HashSet<Uuid>> {
    if ids.len() == 0 {
        return Ok(HashSet::new());
    }
    let found: Vec<Uuid> = of::<Entity>(scope)
        .select_only()
        .column(Column::Id)
        .filter(Column::Id.is_in(ids))
        .into_tuple()
        .all(db)
        .await?;
    Ok(found.into_iter().collect())
}
